// On which hosts a version is to be loaded, of what they say about it.
//
// The first copy may push out what nobody wants; every further one is only worth it where there is room.
//
// Knows: what hosts say. Does not know: how they are asked.

import type { Device, Fit } from '../../runtime/protocol.ts'

export interface Offer<Host> {
  host: Host
  device: Device
  fit: Fit
}

interface Placement<Host> {
  /** where it is there, or on its way */
  present: Host[]
  /** where it is to be loaded */
  chosen: Host[]
  /** the only one of those has to push others out */
  mayEvict: boolean
}

const DEVICES: Device[] = ['cuda', 'cpu', 'webgpu']

/** @param copies how many hosts should have it; null: all that have room */
export function place<Host>(
  offers: readonly Offer<Host>[],
  copies: number | null,
): Placement<Host> {
  const present = offers.filter(({ fit }) => fit.isLoaded).map(({ host }) => host)
  const ranked = offers.filter(({ fit }) => fit.fits && !fit.isLoaded).toSorted(byDeviceAndRoom)
  const roomy = ranked.filter(({ fit }) => fit.evicts.length === 0).map(({ host }) => host)
  const missing = copies === null ? roomy.length : Math.max(0, copies - present.length)
  const chosen = roomy.slice(0, missing)
  const [tight] = ranked
  if (tight && present.length + chosen.length === 0) {
    return { present, chosen: [tight.host], mayEvict: true }
  }
  return { present, chosen, mayEvict: false }
}

/** The one that comes nearest to having room. */
export function roomiest<Host>(offers: readonly Offer<Host>[]): Offer<Host> | undefined {
  return offers.toSorted(
    (a, b) => Number(b.fit.fits) - Number(a.fit.fits) || byDeviceAndRoom(a, b),
  )[0]
}

export interface Shortage {
  /** of all that are to be loaded */
  needBytes: number
  /** on the host that has the most, idle versions that nobody wants counted as gone */
  freeBytes: number
}

/** Whether versions fit together, each on one host: the largest first, onto the host with the most room. */
export function findShortage<Host>(offers: readonly (readonly Offer<Host>[])[]): Shortage | null {
  const missing = offers.filter((each) => each.every(({ fit }) => !fit.isLoaded))
  const room = new Map<Host, number>()
  for (const { host, fit } of missing.flat()) {
    const idle = fit.holders.filter(({ why }) => why === 'idle')
    room.set(
      host,
      idle.reduce((sum, { bytes }) => sum + bytes, fit.freeBytes),
    )
  }
  const freeBytes = Math.max(0, ...room.values())
  const needOf = (each: readonly Offer<Host>[]) => Math.min(...each.map(({ fit }) => fit.needBytes))
  const needBytes = missing.reduce((sum, each) => sum + needOf(each), 0)
  for (const each of missing.toSorted((a, b) => needOf(b) - needOf(a))) {
    const [best] = each
      .map(({ host }) => host)
      .toSorted((a, b) => (room.get(b) ?? 0) - (room.get(a) ?? 0))
    const left = best === undefined ? -1 : (room.get(best) ?? 0) - needOf(each)
    if (best === undefined || left < 0) return { needBytes, freeBytes }
    room.set(best, left)
  }
  return null
}

function byDeviceAndRoom(a: Offer<unknown>, b: Offer<unknown>): number {
  const device = DEVICES.indexOf(a.device) - DEVICES.indexOf(b.device)
  return device || b.fit.freeBytes - a.fit.freeBytes
}
