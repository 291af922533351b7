// A shadow's answers beside the live ones, in the admin API's wire format.

import { Type } from 'typebox'
import type { Static } from 'typebox'

import { readTime } from './fields.ts'
import type { ReadShadow, ShadowFilter, ShadowSummary } from '../../db/shadow-answers.ts'

const number = (description?: string) =>
  Type.Unsafe<number | null>({ type: ['number', 'null'], description })
const texts = Type.Unsafe<string[] | null>({
  type: ['array', 'null'],
  items: { type: 'string' },
  description: 'One for each choice; null where it was not asked for, or is not kept.',
})

const Side = Type.Object({
  version: Type.String(),
  time_to_first_token_ms: number(),
  total_ms: Type.Number(),
  completion_tokens: number(),
  answer: texts,
})

export const ShadowBody = Type.Object({
  object: Type.Literal('shadow'),
  id: Type.String({ description: "The exchange's." }),
  model: Type.String(),
  outcome: Type.Unsafe<'completed' | 'failed'>({ type: 'string', enum: ['completed', 'failed'] }),
  error_code: Type.Unsafe<string | null>({ type: ['string', 'null'] }),
  similarity: number('chrF, from 0 to 1: 1 is the same but for space.'),
  difference_ms: Type.Number({ description: "The shadow's total time less the live version's." }),
  first_token_difference_ms: number(),
  cost_usd: number('What it cost whoever runs this server; nobody is billed.'),
  live: Side,
  shadow: Side,
})

const ShadowSums = Type.Object({
  version: Type.String(),
  live_version: Type.String(),
  requests: Type.Number(),
  failed: Type.Number(),
  equal: Type.Number({ description: 'Answers that were the same but for space.' }),
  mean_similarity: number(),
  median_similarity: number(),
  p50_ms: number(),
  p95_ms: number(),
  live_p50_ms: number(),
  live_p95_ms: number(),
  first_token_difference_ms: number('Median.'),
  difference_ms: number('Median.'),
  cost_usd: Type.Number(),
})

export const ShadowSummaryBody = Type.Object({
  object: Type.Literal('shadow_summary'),
  model: Type.String(),
  data: Type.Array(ShadowSums),
})

const text = (description: string) => Type.Optional(Type.String({ description }))

export const SHADOW_QUERY = {
  version: text("Only this version's answers."),
  since: text('Exchanges from this time on, such as 2027-01-31T00:00:00Z.'),
  until: text('Exchanges before this time.'),
  max_similarity: Type.Optional(
    Type.String({
      pattern: '^(0(\\.\\d{1,6})?|1(\\.0{1,6})?)$',
      title: 'a number from 0 to 1',
      description: 'Only answers that are at most as alike as that.',
    }),
  ),
}

export function readShadowFilter(
  model: string,
  query: { [Name in keyof typeof SHADOW_QUERY]?: string },
): ShadowFilter {
  const { version, since, until, max_similarity: most } = query
  return {
    model,
    version,
    since: since === undefined ? undefined : readTime(since, 'since'),
    until: until === undefined ? undefined : readTime(until, 'until'),
    maxSimilarity: most === undefined ? undefined : Number(most),
  }
}

export function shadowBody(row: ReadShadow): Static<typeof ShadowBody> {
  const { timeToFirstTokenMs: first, liveTimeToFirstTokenMs: liveFirst } = row
  return {
    object: 'shadow',
    id: row.exchangeId,
    model: row.model,
    outcome: row.outcome,
    error_code: row.errorCode,
    similarity: row.similarity,
    difference_ms: row.totalMs - row.liveTotalMs,
    first_token_difference_ms: first === null || liveFirst === null ? null : first - liveFirst,
    cost_usd: row.costUsd,
    live: {
      version: row.liveVersion,
      time_to_first_token_ms: liveFirst,
      total_ms: row.liveTotalMs,
      completion_tokens: row.liveCompletionTokens,
      answer: row.liveAnswer,
    },
    shadow: {
      version: row.version,
      time_to_first_token_ms: first,
      total_ms: row.totalMs,
      completion_tokens: row.completionTokens,
      answer: row.answer,
    },
  }
}

export function shadowSummaryBody(
  model: string,
  sums: ShadowSummary[],
): Static<typeof ShadowSummaryBody> {
  return {
    object: 'shadow_summary',
    model,
    data: sums.map((each) => ({
      version: each.version,
      live_version: each.liveVersion,
      requests: each.requests,
      failed: each.failed,
      equal: each.equal,
      mean_similarity: each.meanSimilarity,
      median_similarity: each.medianSimilarity,
      p50_ms: each.p50Ms,
      p95_ms: each.p95Ms,
      live_p50_ms: each.liveP50Ms,
      live_p95_ms: each.liveP95Ms,
      first_token_difference_ms: each.firstTokenDifferenceMs,
      difference_ms: each.differenceMs,
      cost_usd: each.costUsd,
    })),
  }
}
