// What becomes of a canary by what its guards say: taken back, one step on, or left as it is until something is there.
//
// Pure. Knows: steps, time, verdicts. Does not know: how any of it is done.

import { DEFAULT_MIN_SAMPLE } from './guards.ts'
import { bakedAt } from './trial.ts'
import type { GuardVerdict } from './guards.ts'
import type { Trial } from './trial.ts'

export type NextStep =
  | { action: 'rollback'; breached: GuardVerdict[] }
  | { action: 'step'; share: number }
  | { action: 'promote' }
  /** and to what it will come, when all of that is there */
  | { action: 'wait'; towards: 'step' | 'promote'; share: number; until: Date; missing: Missing[] }

interface Missing {
  what: 'time' | 'canary_sample' | 'live_sample'
  have: number
  need: number
}

/** @param verdicts null: nobody has looked yet */
export function nextStepOf(
  trial: Trial,
  samples: { canary: number; live: number },
  verdicts: readonly GuardVerdict[] | null,
  now: Date,
): NextStep {
  const breached = (verdicts ?? []).filter(({ isBreached }) => isBreached)
  if (breached.length > 0) return { action: 'rollback', breached }
  const { canary, step } = trial
  const share = canary.steps[0] ?? 1
  const towards = share >= 1 ? 'promote' : 'step'
  const until = bakedAt(trial)
  const missing: Missing[] = []
  if (now < until) {
    const have = (now.getTime() - step.at.getTime()) / 1000
    missing.push({ what: 'time', have: Math.max(0, Math.floor(have)), need: canary.bakeSeconds })
  }
  // Without guards nobody would look at the sample.
  const { minSample = DEFAULT_MIN_SAMPLE, ...guards } = canary.guards
  if (Object.keys(guards).length > 0) {
    for (const side of ['canary', 'live'] as const) {
      const have = samples[side]
      if (have < minSample) missing.push({ what: `${side}_sample`, have, need: minSample })
    }
  }
  if (missing.length > 0) return { action: 'wait', towards, share, until, missing }
  return towards === 'promote' ? { action: 'promote' } : { action: 'step', share }
}
