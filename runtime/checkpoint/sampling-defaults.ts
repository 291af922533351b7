// The sampling that a model's authors recommend, from generation_config.json or GGUF metadata.

import type { SamplingDefaults } from '../../models/manifest.ts'
import { show } from './fields.ts'
import type { Fields } from './fields.ts'

/** @param names of each setting in the source */
export function readSampling(
  fields: Fields,
  names: Record<keyof SamplingDefaults, string>,
): SamplingDefaults {
  const sampling: SamplingDefaults = {}
  const read = (setting: keyof SamplingDefaults, allowed: string, fits: (v: number) => boolean) => {
    const value = fields.raw(names[setting])
    if (value === undefined) return
    // GGUF stores float32: seven digits give 0.6 back where the widened number is 0.6000000238.
    if (typeof value === 'number' && fits(value)) sampling[setting] = Number(value.toPrecision(7))
    else fields.refuse(`${names[setting]} is ${show(value)}, allowed is ${allowed}`)
  }
  read('temperature', 'a number of at least 0', (value) => value >= 0)
  // 0 and −1 are both written for "keep all", which is also what leaving it out means.
  if (fields.raw(names.topK) !== -1) {
    read('topK', 'a whole number of at least 0', (value) => Number.isInteger(value) && value >= 0)
  }
  read('topP', 'a number above 0 and at most 1', (value) => value > 0 && value <= 1)
  read('minP', 'a number from 0 to 1', (value) => value >= 0 && value <= 1)
  read('repetitionPenalty', 'a number above 0', (value) => value > 0)
  return sampling
}
