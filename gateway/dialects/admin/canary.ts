// A canary and what its guards say, in the admin API's wire format.

import { Type } from 'typebox'
import type { Static } from 'typebox'

import { wordsOf } from '../../canary/verdict-words.ts'
import { bakedAt } from '../../canary/trial.ts'
import type { GuardName, GuardVerdict } from '../../canary/guards.ts'
import type { NextStep } from '../../canary/next-step.ts'
import type { Trial } from '../../canary/trial.ts'
import type { CanaryVerdict } from '../../db/canary-verdicts.ts'

const nullable = (type: string, description: string) =>
  Type.Unsafe<number | null>({ type: [type, 'null'], description })

const WIRE_NAMES: Record<GuardName, string> = {
  errorRate: 'error_rate',
  timeToFirstToken: 'time_to_first_token',
  total: 'total',
  feedback: 'feedback',
  refusalRate: 'refusal_rate',
}

const GuardBody = Type.Object({
  guard: Type.String({ description: 'As the deployment names it.' }),
  limit: Type.Number({ description: 'What the deployment allows: a margin, or a factor.' }),
  canary: nullable('number', 'A share, milliseconds, or a mean score from 0 to 1.'),
  live: nullable('number', "The live version's, over the same time."),
  canary_sample: Type.Number(),
  live_sample: Type.Number(),
  looks: Type.Integer({ description: 'How often it has looked.' }),
  p_value: nullable('number', 'Of the last look: how often chance alone shows as much.'),
  alpha: nullable('number', 'What the p-value was compared with.'),
  next_look_at: Type.Number({
    description: "Size of the canary's sample at which it looks again.",
  }),
  breached: Type.Boolean(),
  words: Type.String(),
})

export const CanaryStatusBody = Type.Object({
  object: Type.Literal('canary'),
  model: Type.String(),
  version: Type.String(),
  state: Type.Unsafe<'on_trial' | 'ended'>({ type: 'string', enum: ['on_trial', 'ended'] }),
  live: Type.Array(Type.String(), { description: 'Versions that it is compared with.' }),
  share: nullable('number', 'Of the traffic.'),
  steps: Type.Array(Type.Number(), { description: 'Shares to come.' }),
  began: Type.Integer({ description: 'Number of the deployment that it began with.' }),
  ended: nullable('integer', 'Number of the deployment that ended it.'),
  judged_at: Type.Unsafe<string | null>({ type: ['string', 'null'], format: 'date-time' }),
  canary_sample: Type.Number({
    description: 'Exchanges that it answered, or failed at, since it has its present share.',
  }),
  live_sample: Type.Number(),
  guards: Type.Array(GuardBody),
  next: Type.Object({
    action: Type.Unsafe<string>({
      type: 'string',
      enum: ['none', 'rollback', 'step', 'promote'],
      description: 'What happens when nothing is missing any more.',
    }),
    share: nullable('number', 'Of the traffic, after that.'),
    not_before: Type.Unsafe<string | null>({ type: ['string', 'null'], format: 'date-time' }),
    missing: Type.Array(
      Type.Object({ what: Type.String(), have: Type.Number(), need: Type.Number() }),
    ),
  }),
})
type CanaryStatusBody = Static<typeof CanaryStatusBody>

function guardBody(verdict: GuardVerdict): Static<typeof GuardBody> {
  return {
    guard: WIRE_NAMES[verdict.guard],
    limit: verdict.limit,
    canary: verdict.canary,
    live: verdict.live,
    canary_sample: verdict.canarySample,
    live_sample: verdict.liveSample,
    looks: verdict.looks,
    p_value: verdict.pValue,
    alpha: verdict.alpha,
    next_look_at: verdict.nextLookAt,
    breached: verdict.isBreached,
    words: wordsOf(verdict),
  }
}

/** @param verdict null: nobody has looked yet */
export function trialBody(
  trial: Trial,
  verdict: CanaryVerdict | null,
  next: NextStep,
): CanaryStatusBody {
  return {
    object: 'canary',
    model: trial.model,
    version: trial.canary.version,
    state: 'on_trial',
    live: trial.live,
    share: trial.canary.share,
    steps: trial.canary.steps,
    began: trial.began.number,
    ended: null,
    ...verdictBody(verdict),
    next: nextBody(trial, next),
  }
}

/** Of a canary that is there no more. */
export function endedBody(verdict: CanaryVerdict): CanaryStatusBody {
  const { model, version, began, ended } = verdict
  return {
    object: 'canary',
    model,
    version,
    state: 'ended',
    live: [],
    share: null,
    steps: [],
    began,
    ended,
    ...verdictBody(verdict),
    next: { action: 'none', share: null, not_before: null, missing: [] },
  }
}

function verdictBody(verdict: CanaryVerdict | null) {
  return {
    judged_at: verdict?.judgedAt.toISOString() ?? null,
    canary_sample: verdict?.canarySample ?? 0,
    live_sample: verdict?.liveSample ?? 0,
    guards: (verdict?.guards ?? []).map(guardBody),
  }
}

function nextBody(trial: Trial, next: NextStep): CanaryStatusBody['next'] {
  const none = { share: null, not_before: null, missing: [] }
  switch (next.action) {
    case 'rollback':
      return { ...none, action: 'rollback', share: 0 }
    case 'promote':
      return { ...none, action: 'promote', share: 1 }
    case 'step':
      return { ...none, action: 'step', share: next.share }
    case 'wait': {
      const { towards, share, missing } = next
      return { action: towards, share, not_before: bakedAt(trial).toISOString(), missing }
    }
  }
}
