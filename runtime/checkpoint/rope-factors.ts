// Llama 3's rope scaling recovered from the factors that a GGUF file stores in its place.
//
// Converting to GGUF writes, for each frequency, the number it is divided by (tensor
// `rope_freqs.weight`) and drops the parameters. With s = (L/w − low) / (high − low) for a
// wavelength w and the original context length L, the factor is 1 / ((1 − s)/factor + s), cut to 1
// … factor. So s, taken back from the factors between the ends, is a straight line in 1/w. Its two
// coefficients leave the scale of (L, low, high) open, and low is 1 in every published Llama 3;
// what comes out is accepted only if it gives the stored factors again.

import type { LinearRopeScaling, Llama3RopeScaling } from '../../models/manifest.ts'

// The factors are stored as float32 and come from wavelengths that were computed in float32.
const TOLERANCE = 1e-4

/** @returns undefined where no known scaling gives these factors */
export function scalingFromFactors(
  factors: ArrayLike<number>,
  ropeTheta: number,
): Llama3RopeScaling | LinearRopeScaling | null | undefined {
  const pairs = Array.from(factors)
  const factor = Math.max(...pairs)
  const least = Math.min(...pairs)
  if (!(least > 0) || !Number.isFinite(factor)) return undefined
  if (isNear(least, factor)) return isNear(factor, 1) ? null : { type: 'linear', factor }

  const wavelengths = pairs.map((_, pair) => 2 * Math.PI * ropeTheta ** (pair / pairs.length))
  const between = pairs.flatMap((value, pair) => {
    const isBlended = value > 1 + TOLERANCE && value < factor * (1 - TOLERANCE)
    return isBlended
      ? [{ x: 1 / wavelengths[pair]!, y: (1 / value - 1 / factor) / (1 - 1 / factor) }]
      : []
  })
  const [first, last] = [between[0], between.at(-1)]
  if (first === undefined || last === undefined || first === last) return undefined
  const slope = (last.y - first.y) / (last.x - first.x)
  const intercept = first.y - slope * first.x
  const width = -1 / intercept
  const scaling: Llama3RopeScaling = {
    type: 'llama3',
    factor,
    lowFreqFactor: 1,
    highFreqFactor: roundIfNear(1 + width),
    originalContextLength: Math.round(slope * width),
  }
  const agrees = pairs.every((value, pair) => isNear(value, factorOf(scaling, wavelengths[pair]!)))
  return agrees ? scaling : undefined
}

function factorOf(scaling: Llama3RopeScaling, wavelength: number): number {
  const { factor, lowFreqFactor, highFreqFactor, originalContextLength } = scaling
  const blend =
    (originalContextLength / wavelength - lowFreqFactor) / (highFreqFactor - lowFreqFactor)
  const share = Math.min(1, Math.max(0, blend))
  return 1 / ((1 - share) / factor + share)
}

function isNear(a: number, b: number): boolean {
  return Math.abs(a - b) <= TOLERANCE * Math.abs(b)
}

function roundIfNear(value: number): number {
  return isNear(value, Math.round(value)) ? Math.round(value) : value
}
