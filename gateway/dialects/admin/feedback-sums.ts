// Sums of feedback in the admin API's wire format.

import { Type } from 'typebox'
import type { Static } from 'typebox'

import { SUM_KEYS } from '../../db/feedback-sums.ts'
import { storable } from './feedback.ts'
import { readTime, Time } from './fields.ts'
import type { FeedbackSum, RatedExchange, SumFilter, SumKey } from '../../db/feedback-sums.ts'

const DEFAULT_LIMIT = 100

const text = (description: string) => Type.Optional(Type.String({ description }))

const RATED_QUERY = {
  model: text('Of this model.'),
  version: text('Of this version, as model@number.'),
  since: text('Given from this time on, such as 2027-01-31T00:00:00Z.'),
  until: text('Given before this time.'),
  limit: Type.Optional(
    // A text, as all of a query is.
    Type.String({
      pattern: '^([1-9]\\d{0,2}|1000)$',
      title: 'a whole number from 1 to 1000',
      description: `Rows at most; without it ${DEFAULT_LIMIT}.`,
    }),
  ),
}

export const WorstQuery = Type.Object(RATED_QUERY, { additionalProperties: false })

export const SumsQuery = Type.Object(
  {
    ...RATED_QUERY,
    by: Type.Optional(
      Type.Unsafe<SumKey>({ enum: SUM_KEYS, description: 'Without it: by version.' }),
    ),
  },
  { additionalProperties: false },
)

const RATINGS = {
  up: Type.Integer(),
  down: Type.Integer(),
  scored: Type.Integer({ description: 'How many gave a score.' }),
  mean_score: Type.Unsafe<number | null>({ type: ['number', 'null'] }),
  comments: Type.Integer(),
  corrections: Type.Integer(),
}

export const SumsBody = Type.Object({
  object: Type.Literal('list'),
  data: Type.Array(
    Type.Object({
      object: Type.Literal('feedback_sum'),
      key: Type.Unsafe<string | null>({
        type: ['string', 'null'],
        description: 'The model, the version, …; null: not known.',
      }),
      given: Type.Integer(),
      ...RATINGS,
    }),
  ),
})

export const WorstBody = Type.Object({
  object: Type.Literal('list'),
  data: Type.Array(
    Type.Object({
      object: Type.Literal('rated_exchange'),
      exchange_id: Type.String(),
      model: Type.Unsafe<string | null>({ type: ['string', 'null'] }),
      version: Type.Unsafe<string | null>({ type: ['string', 'null'] }),
      last_at: Time,
      ...RATINGS,
    }),
  ),
})

type RatedQuery = { [Name in keyof typeof RATED_QUERY]?: string }

export function readSumFilter({ model, version, since, until }: RatedQuery): SumFilter {
  return {
    model: storable(model),
    version: storable(version),
    since: since === undefined ? undefined : readTime(since, 'since'),
    until: until === undefined ? undefined : readTime(until, 'until'),
  }
}

export const readRows = ({ limit }: RatedQuery) => Number(limit ?? DEFAULT_LIMIT)

export function sumsBody(sums: FeedbackSum[]): Static<typeof SumsBody> {
  const data = sums.map((sum) => ({
    object: 'feedback_sum' as const,
    key: sum.key,
    given: sum.given,
    ...ratingsOf(sum),
  }))
  return { object: 'list', data }
}

export function worstBody(exchanges: RatedExchange[]): Static<typeof WorstBody> {
  const data = exchanges.map((exchange) => ({
    object: 'rated_exchange' as const,
    exchange_id: exchange.exchangeId,
    model: exchange.model,
    version: exchange.version,
    last_at: exchange.lastAt.toISOString(),
    ...ratingsOf(exchange),
  }))
  return { object: 'list', data }
}

function ratingsOf(of: FeedbackSum | RatedExchange) {
  const { up, down, scored, meanScore, comments, corrections } = of
  return { up, down, scored, mean_score: meanScore, comments, corrections }
}
