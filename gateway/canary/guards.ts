// What a canary is guarded by: each guard compares a figure of the canary with the live version's, over the same time,
// by a test that says how likely chance alone is to show as much.
//
//   errorRate, refusalRate   shares: exact test of the score of their difference
//   timeToFirstToken, total  95th percentiles: exceedance test
//   feedback                 means of scores in [0, 1]: Welch's t-test
//
// Pure: figures and what was said at the last look come in, verdicts go out. docs/canaries.md has the formulas.
//
// Knows: tests, looks. Does not know: where figures come from, what becomes of a breach.

import { alphaOf, sizeOfNextLook } from './looks.ts'
import { exceedance } from './statistics/exceedance.ts'
import { proportionExcess } from './statistics/proportion-excess.ts'
import { meanOf, meanShortfall, tempered } from './statistics/welch.ts'
import type { Guards } from '../deployments/state.ts'
import type { Count } from './statistics/proportion-excess.ts'
import type { Sums } from './statistics/welch.ts'

export type GuardName = Exclude<keyof Guards, 'minSample'>
const GUARD_NAMES: readonly GuardName[] = [
  'errorRate',
  'timeToFirstToken',
  'total',
  'feedback',
  'refusalRate',
]

/** Of what a version answered, or failed at, while the canary was there. */
export interface VersionFigures {
  errors: Count
  refusals: Count
  timeToFirstToken: Durations
  total: Durations
  /** of exchanges that somebody rated: the mean of each one's ratings, from 0 to 1 */
  feedback: Sums
}

export interface Durations {
  count: number
  /** milliseconds; null where there are none */
  p95: number | null
}

export interface Figures {
  canary: VersionFigures
  live: VersionFigures
  /** exchanges of the canary that took longer than the guard's factor times live's 95th percentile */
  above: { timeToFirstToken: number; total: number }
}

export interface GuardVerdict {
  guard: GuardName
  /** what the deployment allows: a margin, or a factor */
  limit: number
  /** shares, milliseconds, or mean scores, by the guard; null: nothing to tell it by */
  canary: number | null
  live: number | null
  canarySample: number
  liveSample: number
  /** how often it has looked; of the last look: the size of the sample, the p-value, and what it was compared with */
  looks: number
  lookedAt: number
  pValue: number | null
  alpha: number | null
  /** size of the canary's sample at which it looks again */
  nextLookAt: number
  isBreached: boolean
}

export const DEFAULT_MIN_SAMPLE = 50
/** Of a hundred answers one or two are rated: to wait for fifty ratings would be to wait for thousands of answers. */
const MIN_RATINGS = 10
const QUANTILE = 0.95

/** What a guard makes of the figures. */
interface Reading {
  canary: number | null
  live: number | null
  canarySample: number
  liveSample: number
  test: (alpha: number) => number
}

/**
 * The canary has another share: samples begin anew, except ratings, which are those of all of the trial. Looks are counted
 * on, and what was breached stays so.
 */
export function atNextStep(verdicts: readonly GuardVerdict[]): GuardVerdict[] {
  return verdicts.map((verdict) =>
    verdict.guard === 'feedback' ? verdict : { ...verdict, lookedAt: 0 },
  )
}

/**
 * @param before verdicts of the last time
 * @param isDecisive the canary is about to get more, with the minimum sample of exchanges on both sides: whoever has seen more
 *   than at the last look looks again
 * @returns one for each guard that the deployment names
 */
export function judge(
  guards: Guards,
  figures: Figures,
  before: readonly GuardVerdict[],
  isDecisive = false,
): GuardVerdict[] {
  return GUARD_NAMES.flatMap((guard) => {
    const limit = guards[guard]
    if (limit === undefined) return []
    const last = before.find((verdict) => verdict.guard === guard)
    const firstSize = firstSizeOf(guard, guards, isDecisive)
    const lookedAt = last?.lookedAt ?? 0
    const due = isDecisive ? Math.max(firstSize, lookedAt + 1) : sizeOfNextLook(lookedAt, firstSize)
    return [judgeOne(guard, limit, { firstSize, due }, figures, last)]
  })
}

/**
 * Before the canary gets more, both versions have had the minimum of exchanges, of which some may have failed: what is left
 * of them has to be enough, or a guard of answers would be passed by without a look. The tests hold for any size.
 */
function firstSizeOf(
  guard: GuardName,
  { minSample = DEFAULT_MIN_SAMPLE }: Guards,
  isDecisive: boolean,
): number {
  const ofExchanges = isDecisive ? 1 : minSample
  return Math.max(1, guard === 'feedback' ? Math.min(minSample, MIN_RATINGS) : ofExchanges)
}

function judgeOne(
  guard: GuardName,
  limit: number,
  { firstSize, due }: { firstSize: number; due: number },
  figures: Figures,
  last: GuardVerdict | undefined,
): GuardVerdict {
  // An alarm was raised, and its figures are what is to be told of it.
  if (last?.isBreached) return last
  const { test, ...now } = READINGS[guard](figures, limit)
  const lookedAt = last?.lookedAt ?? 0
  const looks = last?.looks ?? 0
  if (now.canarySample < due || now.liveSample < firstSize) {
    const { pValue = null, alpha = null } = last ?? {}
    const unseen = { looks, lookedAt, pValue, alpha, nextLookAt: due, isBreached: false }
    return { guard, limit, ...now, ...unseen }
  }
  const alpha = alphaOf(looks + 1)
  const pValue = test(alpha)
  return {
    guard,
    limit,
    ...now,
    looks: looks + 1,
    lookedAt: now.canarySample,
    pValue,
    alpha,
    nextLookAt: sizeOfNextLook(now.canarySample, firstSize),
    isBreached: pValue <= alpha,
  }
}

const READINGS: Record<GuardName, (figures: Figures, limit: number) => Reading> = {
  errorRate: ({ canary, live }, margin) => shares(canary.errors, live.errors, margin),
  refusalRate: ({ canary, live }, margin) => shares(canary.refusals, live.refusals, margin),
  timeToFirstToken: ({ canary, live, above }) =>
    durations(canary.timeToFirstToken, live.timeToFirstToken, above.timeToFirstToken),
  total: ({ canary, live, above }) => durations(canary.total, live.total, above.total),
  feedback: ({ canary, live }, margin) => ({
    canary: canary.feedback.count > 0 ? meanOf(canary.feedback) : null,
    live: live.feedback.count > 0 ? meanOf(live.feedback) : null,
    canarySample: canary.feedback.count,
    liveSample: live.feedback.count,
    test: () => meanShortfall(tempered(canary.feedback), tempered(live.feedback), margin),
  }),
}

function shares(canary: Count, live: Count, margin: number): Reading {
  const shareOf = ({ count, of }: Count) => (of > 0 ? count / of : null)
  return {
    canary: shareOf(canary),
    live: shareOf(live),
    canarySample: canary.of,
    liveSample: live.of,
    test: (alpha) => proportionExcess(canary, live, margin, alpha),
  }
}

function durations(canary: Durations, live: Durations, above: number): Reading {
  return {
    canary: canary.p95,
    live: live.p95,
    canarySample: canary.count,
    liveSample: live.count,
    test: () => exceedance({ live: live.count, trial: canary.count, above, quantile: QUANTILE }),
  }
}
