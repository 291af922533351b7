// Whether hosts have memory for versions that are to be loaded beside those that are.
//
// Knows: what is asked and answered. Does not know: hosts, which measure it, and who is to go.

import type { Shortage } from '../residency/placement.ts'

/** @param versions full ids @returns what is missing; null where nothing is */
export type Room = (versions: readonly string[]) => Promise<Shortage | null>

export function gibibytes(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(2)} GiB`
}
