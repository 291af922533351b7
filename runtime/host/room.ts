// Who has to go so that a version fits, if anybody: the least recently used of those that nobody wants or uses.
//
// Knows: numbers. Does not know: processes, how anything is measured, requests.

import type { Holder, VersionId } from '../protocol.ts'

export interface Resident extends Holder {
  /** it is being ended already */
  isLeaving: boolean
  lastUsedMs: number
}

export interface RoomAsk {
  /** what the version may come to take: the budget has to have it */
  needBytes: number
  /** what it takes as soon as it is loaded: the machine has to have that */
  fixedBytes: number
  budgetBytes: number
  machineFreeBytes: number
  residents: readonly Resident[]
  mayEvict: boolean
}

export interface RoomFound {
  fits: boolean
  freeBytes: number
  /** whose end has to be waited for; empty where it doesn't fit anyway */
  evicts: VersionId[]
}

export function findRoom(ask: RoomAsk): RoomFound {
  const { residents, mayEvict } = ask
  const left = ask.budgetBytes - sum(residents)
  const freeBytes = Math.max(0, Math.min(left, ask.machineFreeBytes))
  const fitsWithout = (gone: readonly Resident[]) =>
    ask.needBytes <= left + sum(gone) && ask.fixedBytes <= ask.machineFreeBytes + sum(gone)

  const candidates = residents
    .filter(({ isLeaving, why }) => isLeaving || (mayEvict && why === 'idle'))
    .toSorted((a, b) => Number(b.isLeaving) - Number(a.isLeaving) || a.lastUsedMs - b.lastUsedMs)
  const count = [...candidates.keys(), candidates.length].find((n) =>
    fitsWithout(candidates.slice(0, n)),
  )
  if (count === undefined) return { fits: false, freeBytes, evicts: [] }
  let gone = candidates.slice(0, count)
  // One that is large may make those before it superfluous.
  for (const one of gone) {
    const others = gone.filter((other) => other !== one)
    if (fitsWithout(others)) gone = others
  }
  return { fits: true, freeBytes, evicts: gone.map(({ version }) => version) }
}

function sum(residents: readonly Resident[]): number {
  return residents.reduce((total, { bytes }) => total + bytes, 0)
}
