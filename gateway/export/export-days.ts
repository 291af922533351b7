// Days of a stretch of time to a destination, one after the other. Those that are there already, as they were asked for
// and long enough after their end, are kept: whoever begins again after a failure goes on with the next.

import { isDeepStrictEqual } from 'node:util'

import { GRACE_MS } from './closed-days.ts'
import { exportDay, readManifest } from './export-day.ts'
import { knownRange } from '../db/export-pages.ts'
import { dayOf } from '../db/partitions.ts'
import type { DayOptions } from './export-day.ts'
import type { Manifest } from './manifest.ts'

export interface DaysOptions extends Omit<DayOptions, 'day' | 'mayWrite'> {
  /** also those that are there already */
  isAgain: boolean
}

export interface DayResult {
  manifest: Manifest
  /** it was there already */
  isKept: boolean
}

const DAY_MS = 24 * 60 * 60_000

export async function* exportDays(options: DaysOptions): AsyncGenerator<DayResult, void> {
  const { db, destination, isAgain } = options
  const known = await knownRange(db)
  if (!known) return
  const fromMs = Math.max(known.startMs, options.from?.getTime() ?? 0)
  const toMs = Math.min(known.endMs, options.to?.getTime() ?? Infinity)
  for (let day = dayOf(fromMs); day * DAY_MS < toMs; day++) {
    const old = isAgain ? null : await readManifest(destination, day)
    if (old && isWhat(old, options, day)) yield { manifest: old, isKept: true }
    else yield { manifest: await exportDay({ ...options, day }), isKept: false }
  }
}

function isWhat(manifest: Manifest, options: DaysOptions, day: number): boolean {
  const { from, to, format, withBodies, asked = {} } = options
  const toMs = Math.min((day + 1) * DAY_MS, to?.getTime() ?? Infinity)
  return (
    manifest.format === format &&
    manifest.with_bodies === withBodies &&
    Date.parse(manifest.from) === Math.max(day * DAY_MS, from?.getTime() ?? 0) &&
    Date.parse(manifest.to) === toMs &&
    Date.parse(manifest.exported_at) >= toMs + GRACE_MS &&
    isDeepStrictEqual(manifest.filter, asked)
  )
}
