// Analytics in the admin API's wire format.

import { Type } from 'typebox'
import type { Static } from 'typebox'

import { GatewayError } from '../../errors.ts'
import { DIMENSIONS, PERIODS, SORTS } from '../../db/analytics.ts'
import { Time } from './fields.ts'
import { given } from '../openai/violation.ts'
import type { Dimension, Percentiles, Period, UsageRow } from '../../db/analytics.ts'
import type { FrequentError, FrequentPrompt, RankedExchange } from '../../db/top-exchanges.ts'

const text = (description: string) =>
  Type.Optional(Type.String({ minLength: 1, maxLength: 256, description }))

const SPAN_QUERY = {
  from: text('From this time on, such as 2027-01-31T00:00:00Z; without it a day before `to`.'),
  to: text('Before this time; without it now.'),
}

const FILTER_QUERY = {
  project: text('Only of this one: its id or name.'),
  caller: text("Only of this one: a caller's id or the name of its key."),
  model: text('Only of this model.'),
  version: text('Only of this version, such as name@2.'),
  upstream: text('Only of this upstream; `local` is the runtime.'),
}

export const UsageQuery = Type.Object(
  {
    ...SPAN_QUERY,
    period: Type.Optional(
      Type.Unsafe<Period>({
        type: 'string',
        enum: [...PERIODS],
        description: 'A row for each, in UTC; without it one for the whole time.',
      }),
    ),
    group: text(
      `What has rows of its own, with commas: ${DIMENSIONS.join(', ')}. \`tag\` goes with \`project\` alone; what has several tags counts for each.`,
    ),
    ...FILTER_QUERY,
    tag: text('Only what has this tag.'),
    sort: Type.Optional(
      Type.Unsafe<keyof typeof SORTS>({
        type: 'string',
        enum: Object.keys(SORTS),
        description: 'What comes first within a period: the largest of this; without it requests.',
      }),
    ),
    limit: Type.Optional(
      Type.String({
        pattern: '^([1-9]\\d{0,2}|1000)$',
        title: 'a whole number from 1 to 1000',
        description: 'Rows at most; without it 1000.',
      }),
    ),
  },
  { additionalProperties: false },
)

export const TopQuery = Type.Object(
  {
    ...SPAN_QUERY,
    ...FILTER_QUERY,
    limit: Type.Optional(
      Type.String({
        pattern: '^([1-9]\\d?|100)$',
        title: 'a whole number from 1 to 100',
        description: 'Rows at most; without it 20.',
      }),
    ),
  },
  { additionalProperties: false },
)

/** @throws GatewayError that names what is not known */
export function readGroup(text: string | undefined): Dimension[] {
  if (text === undefined) return []
  const names = text.split(',').map((name) => name.trim())
  const unknown = names.find((name) => !DIMENSIONS.some((known) => known === name))
  if (unknown === undefined) return DIMENSIONS.filter((known) => names.includes(known))
  throw new GatewayError(
    'invalid_value',
    `'group' must be some of ${DIMENSIONS.join(', ')}, with commas; got ${given(unknown)}.`,
    { param: 'group' },
  )
}

const nullable = (type: string) => ({ type: [type, 'null'] })
const Word = Type.Unsafe<string | null>(nullable('string'))
const Figure = Type.Unsafe<number | null>(nullable('number'))
const Named = Type.Unsafe<{ id: string | null; name: string | null } | null>({
  type: ['object', 'null'],
  description: 'The admin key has a name and no id.',
  properties: { id: nullable('string'), name: nullable('string') },
})
const Latency = Type.Unsafe<{ p50: number; p90: number; p95: number; p99: number } | null>({
  type: ['object', 'null'],
  description:
    'Milliseconds, of what completed. Read from buckets whose ends are a factor of 1.41 apart: never further off than that.',
  properties: Object.fromEntries(['p50', 'p90', 'p95', 'p99'].map((p) => [p, { type: 'number' }])),
})

const UsageRowBody = Type.Object({
  start: Type.Unsafe<string | null>({
    type: ['string', 'null'],
    format: 'date-time',
    description: 'Of the period; null where none was asked for.',
  }),
  project: Type.Optional(Named),
  caller: Type.Optional(Named),
  model: Type.Optional(Word),
  version: Type.Optional(Word),
  upstream: Type.Optional(Word),
  tag: Type.Optional(Word),
  requests: Type.Number(),
  completed: Type.Number(),
  cancelled: Type.Number(),
  failed: Type.Number(),
  refused: Type.Number(),
  error_rate: Type.Number({ description: 'failed / requests' }),
  prompt_tokens: Type.Number(),
  cached_tokens: Type.Number({ description: 'Part of prompt_tokens.' }),
  completion_tokens: Type.Number(),
  cost_usd: Type.Number(),
  total_ms: Latency,
  time_to_first_token_ms: Latency,
})

export const UsageBody = Type.Object({
  object: Type.Literal('usage'),
  from: Time,
  to: Time,
  data: Type.Array(UsageRowBody),
  has_more: Type.Boolean({ description: 'There are more rows than `limit`.' }),
})

/** Fields of what was grouped by are there, null where it isn't known. */
export function usageRowBody(
  row: UsageRow,
  group: readonly Dimension[],
): Static<typeof UsageRowBody> {
  const { requests, cancelled, failed, refused } = row
  const words = {
    project: named(row.project, row.projectName),
    caller: named(row.caller, row.callerName),
    model: row.model,
    version: row.version,
    upstream: row.upstream,
    tag: row.tag,
  }
  return {
    start: row.start?.toISOString() ?? null,
    ...Object.fromEntries(group.map((name) => [name, words[name]])),
    requests,
    completed: requests - cancelled - failed - refused,
    cancelled,
    failed,
    refused,
    error_rate: requests === 0 ? 0 : failed / requests,
    prompt_tokens: row.promptTokens,
    cached_tokens: row.cachedTokens,
    completion_tokens: row.completionTokens,
    cost_usd: row.costUsd,
    total_ms: latency(row.totalMs),
    time_to_first_token_ms: latency(row.timeToFirstTokenMs),
  }
}

function named(id: string | null, name: string | null) {
  return id === null && name === null ? null : { id, name }
}

function latency(percentiles: Percentiles) {
  if (percentiles === null) return null
  const [p50, p90, p95, p99] = percentiles.map((ms) => Math.round(ms * 100) / 100)
  return { p50: p50!, p90: p90!, p95: p95!, p99: p99! }
}

const topOf = <T extends Parameters<typeof Type.Array>[0]>(item: T) =>
  Type.Object({
    object: Type.Literal('list'),
    from: { ...Time, description: 'Later than asked for where there was too much to look at.' },
    to: Time,
    is_part: Type.Boolean({ description: 'Not all of the time that was asked for is in it.' }),
    data: Type.Array(item),
  })

export const RankedBody = topOf(
  Type.Object({
    id: Type.String(),
    started_at: Time,
    caller: Named,
    project_id: Word,
    model: Word,
    version: Word,
    upstream: Word,
    outcome: Type.String(),
    prompt_tokens: Figure,
    completion_tokens: Figure,
    cost_usd: Figure,
    time_to_first_token_ms: Figure,
    total_ms: Type.Number(),
  }),
)

export const rankedRow = (row: RankedExchange) => ({
  id: row.id,
  started_at: row.startedAt.toISOString(),
  caller: named(row.callerId, row.callerName),
  project_id: row.projectId,
  model: row.model,
  version: row.version,
  upstream: row.upstream,
  outcome: row.outcome,
  prompt_tokens: row.promptTokens,
  completion_tokens: row.completionTokens,
  cost_usd: row.costUsd,
  time_to_first_token_ms: row.timeToFirstTokenMs,
  total_ms: row.totalMs,
})

export const ErrorsBody = topOf(
  Type.Object({
    outcome: Type.String(),
    error_code: Word,
    status: Type.Number(),
    model: Word,
    upstream: Word,
    count: Type.Number(),
    callers: Type.Number({ description: 'Different ones.' }),
    last_at: Time,
    last_id: Type.String({ description: 'Of the newest such exchange.' }),
    last_message: Word,
  }),
)

export const errorRow = (row: FrequentError) => ({
  outcome: row.outcome,
  error_code: row.errorCode,
  status: row.status,
  model: row.model,
  upstream: row.upstream,
  count: row.count,
  callers: row.callers,
  last_at: row.lastAt.toISOString(),
  last_id: row.lastId,
  last_message: row.lastMessage,
})

export const PromptsBody = topOf(
  Type.Object({
    prompt: Type.String({ description: 'Of its last message the first 500 characters.' }),
    count: Type.Number({ description: 'Among those that were looked at.' }),
    share: Type.Number({ description: 'Of those that were looked at.' }),
    callers: Type.Number({ description: 'Different ones.' }),
    last_id: Type.String({ description: 'Of the newest such exchange.' }),
    cost_usd: Type.Number(),
    total_ms: Type.Number({ description: 'On average.' }),
  }),
)

export const promptRow = (row: FrequentPrompt, examined: number) => ({
  prompt: row.prompt,
  count: row.count,
  share: row.count / examined,
  callers: row.callers,
  last_id: row.last,
  cost_usd: row.costUsd,
  total_ms: row.totalMs,
})
