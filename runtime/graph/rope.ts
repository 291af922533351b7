// Tables of the cosines and sines that rotary position embedding turns queries and keys by.
//
// Su et al., "RoFormer" (2021): pair j of a head turns by position · θ^(−2j/d). Longer contexts stretch the angles:
// linearly (every frequency alike) or as Llama 3 does (long wavelengths by a factor, short ones not at all, those
// between by a blend).

import type { Architecture, Llama3RopeScaling } from '../../models/manifest.ts'

export interface RopeTables {
  /** both [positions, headDim / 2] */
  cos: Float32Array
  sin: Float32Array
}

export function ropeTables(architecture: Architecture, positions: number): RopeTables {
  const frequencies = ropeFrequencies(architecture)
  const cos = new Float32Array(positions * frequencies.length)
  const sin = new Float32Array(positions * frequencies.length)
  for (let position = 0; position < positions; position++) {
    for (let pair = 0; pair < frequencies.length; pair++) {
      const angle = position * frequencies[pair]!
      cos[position * frequencies.length + pair] = Math.cos(angle)
      sin[position * frequencies.length + pair] = Math.sin(angle)
    }
  }
  return { cos, sin }
}

/** Radians a position, for each of the headDim / 2 pairs. */
export function ropeFrequencies(architecture: Architecture): number[] {
  const { headDim, ropeTheta, ropeScaling } = architecture
  return Array.from({ length: headDim / 2 }, (_, pair) => {
    const frequency = ropeTheta ** ((-2 * pair) / headDim)
    if (ropeScaling === null) return frequency
    if (ropeScaling.type === 'linear') return frequency / ropeScaling.factor
    return scaleAsLlama3(frequency, ropeScaling)
  })
}

function scaleAsLlama3(frequency: number, scaling: Llama3RopeScaling): number {
  const wavelength = (2 * Math.PI) / frequency
  const { factor, lowFreqFactor, highFreqFactor, originalContextLength } = scaling
  if (wavelength < originalContextLength / highFreqFactor) return frequency
  if (wavelength > originalContextLength / lowFreqFactor) return frequency / factor
  const blend =
    (originalContextLength / wavelength - lowFreqFactor) / (highFreqFactor - lowFreqFactor)
  return (1 - blend) * (frequency / factor) + blend * frequency
}
