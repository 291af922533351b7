// Evaluations, and what a version does in service, in the admin API's wire format.

import { Type } from 'typebox'
import type { Static } from 'typebox'

import { NullableNumber, NullableText, word } from './catalog-fields.ts'
import { Time } from './fields.ts'
import { PAGE_QUERY } from './page.ts'
import type { LiveMetrics } from '../../catalog/live-metrics.ts'
import type { Evaluation } from '../../db/catalog-evaluations.ts'

/** One run's metrics on its datasets. */
const MAX_BATCH = 1_000

const name = (description: string) =>
  Type.String({
    minLength: 1,
    maxLength: 256,
    pattern: '^[^\\p{Cc}]+$',
    title: 'one line of 1 to 256 characters',
    description,
  })

const EvaluationDraft = Type.Object(
  {
    dataset: name('What it was measured on.'),
    split: word('Of the dataset: test, validation, …'),
    metric: name('accuracy, f1, perplexity, …'),
    value: Type.Number(),
    higher_is_better: Type.Optional(
      Type.Boolean({ description: 'Without it: yes. Losses and error rates: no.' }),
    ),
    sample_size: Type.Optional(
      Type.Unsafe<number | null>({
        type: ['integer', 'null'],
        minimum: 1,
        maximum: Number.MAX_SAFE_INTEGER,
      }),
    ),
    run: word('Of whatever evaluated, so that its own record can be found.', 1_000),
    measured_at: Type.Optional(
      Type.String({ format: 'date-time', description: 'Without it: now.' }),
    ),
    measured_by: word('Without it: who tells it.'),
  },
  { additionalProperties: false },
)
export type EvaluationDraft = Static<typeof EvaluationDraft>

export const EvaluationBatch = Type.Object(
  { evaluations: Type.Array(EvaluationDraft, { minItems: 1, maxItems: MAX_BATCH }) },
  { additionalProperties: false },
)

export const EvaluationBody = Type.Object({
  object: Type.Literal('catalog.evaluation'),
  id: Type.String(),
  version: Type.String(),
  dataset: Type.String(),
  split: NullableText,
  metric: Type.String(),
  value: Type.Number(),
  higher_is_better: Type.Boolean(),
  sample_size: NullableNumber,
  run: NullableText,
  measured_at: Time,
  measured_by: Type.String(),
})

export function evaluationBody(evaluation: Evaluation): Static<typeof EvaluationBody> {
  return {
    object: 'catalog.evaluation',
    id: evaluation.id,
    version: evaluation.version,
    dataset: evaluation.dataset,
    split: evaluation.split || null,
    metric: evaluation.metric,
    value: evaluation.value,
    higher_is_better: evaluation.higherIsBetter,
    sample_size: evaluation.sampleSize,
    run: evaluation.run,
    measured_at: evaluation.measuredAt.toISOString(),
    measured_by: evaluation.measuredBy,
  }
}

export const EVALUATIONS_QUERY = Type.Object(
  {
    ...PAGE_QUERY,
    dataset: Type.Optional(Type.String({ pattern: '^[^\\0]+$', description: 'Only on this one.' })),
    metric: Type.Optional(Type.String({ pattern: '^[^\\0]+$', description: 'Only this one.' })),
  },
  { additionalProperties: false },
)

const Latency = Type.Unsafe<{ p50: number; p95: number } | null>({
  type: ['object', 'null'],
  description: 'Milliseconds that 50 and 95 of a hundred took at most; null where none completed.',
  properties: { p50: { type: 'number' }, p95: { type: 'number' } },
})

export const LiveMetricsBody = Type.Object({
  object: Type.Literal('catalog.metrics'),
  version: Type.String(),
  from: Time,
  to: Time,
  requests: Type.Integer(),
  requests_per_hour: Type.Number(),
  error_rate: Type.Unsafe<number | null>({
    type: ['number', 'null'],
    description:
      'Share of requests that failed, without those that were refused; null without any.',
  }),
  refused: Type.Integer(),
  cancelled: Type.Integer(),
  total_ms: Latency,
  time_to_first_token_ms: Latency,
  tokens_per_second: Type.Unsafe<number | null>({
    type: ['number', 'null'],
    description: 'Generated, on average over the hours in which there were requests.',
  }),
  prompt_tokens: Type.Integer(),
  completion_tokens: Type.Integer(),
  cost_usd: Type.Number(),
  feedback: Type.Object({
    given: Type.Integer(),
    mean_score: NullableNumber,
    thumbs_up: Type.Integer(),
    thumbs_down: Type.Integer(),
  }),
})

export function liveMetricsBody(metrics: LiveMetrics): Static<typeof LiveMetricsBody> {
  const { version, from, to, feedback } = metrics
  return {
    object: 'catalog.metrics',
    version,
    from: from.toISOString(),
    to: to.toISOString(),
    requests: metrics.requests,
    requests_per_hour: metrics.requestsPerHour,
    error_rate: metrics.errorRate,
    refused: metrics.refused,
    cancelled: metrics.cancelled,
    total_ms: metrics.totalMs,
    time_to_first_token_ms: metrics.timeToFirstTokenMs,
    tokens_per_second: metrics.tokensPerSecond,
    prompt_tokens: metrics.promptTokens,
    completion_tokens: metrics.completionTokens,
    cost_usd: metrics.costUsd,
    feedback: {
      given: feedback.given,
      mean_score: feedback.meanScore,
      thumbs_up: feedback.up,
      thumbs_down: feedback.down,
    },
  }
}
