// Which entry a rollback goes back to, where nobody names one.
//
// What was live is a stack: a deployment lays its state on it, a rollback takes away everything above the one that it
// restores. Below the top lies what was good before. A state with a version on trial is no ground to stand on: who goes
// back from a canary, or from what it was promoted to, wants none of it left.
//
// Knows: entries. Does not know: SQL, who asks.

import { sameState } from './next-state.ts'
import type { Deployment } from '../db/deployments.ts'

type Entry = Pick<Deployment, 'number' | 'restores' | 'state'>

/** @param entries all that were live, oldest first @returns null where there is none */
export function lastGood<T extends Entry>(entries: readonly T[]): T | null {
  const stack: T[] = []
  for (const entry of entries) {
    const at = stack.findIndex(({ number }) => number === originOf(entry, entries))
    // A rollback to what had been rolled back from is a deployment like any other.
    if (entry.restores !== null && at >= 0) stack.length = at + 1
    else stack.push(entry)
  }
  const current = entries.at(-1)
  if (!current) return null
  return (
    stack.findLast(({ state }) => state.canary === null && !sameState(state, current.state)) ?? null
  )
}

/** The number whose state it is: of a rollback to a rollback, what that one restored. */
function originOf(entry: Entry, entries: readonly Entry[]): number {
  let origin = entry
  while (origin.restores !== null) {
    const { restores } = origin
    const restored = entries.find(({ number }) => number === restores)
    if (!restored) break
    origin = restored
  }
  return origin.number
}
