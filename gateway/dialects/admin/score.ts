// Scores of evaluations in the admin API's wire format.

import { Type } from 'typebox'
import type { Static } from 'typebox'

import { GatewayError } from '../../errors.ts'
import { parseExchangeId } from '../../feedback/exchange-id.ts'
import { given } from '../openai/violation.ts'
import { storable } from './feedback.ts'
import { readTime, Time } from './fields.ts'
import type { NewScore, Score, ScoreFilter } from '../../db/scores.ts'

const MAX_NAME_CHARACTERS = 128
const MAX_LABEL_CHARACTERS = 256
const MAX_COMMENT_CHARACTERS = 16_000
/** A statement of a few milliseconds; the body's own limit is near. */
const MAX_BATCH = 1_000

const nullableText = (maxLength: number, description: string) =>
  Type.Optional(Type.Unsafe<string | null>({ type: ['string', 'null'], maxLength, description }))

const SCORE = {
  name: Type.String({
    minLength: 1,
    maxLength: MAX_NAME_CHARACTERS,
    description: 'What was looked at: faithfulness, tone, …',
  }),
  evaluator: nullableText(MAX_NAME_CHARACTERS, 'Who looked: a person, a program, a model.'),
  value: Type.Optional(
    Type.Unsafe<number | null>({
      type: ['number', 'null'],
      description: 'Any number; 0 to 1 where it is a share.',
    }),
  ),
  label: nullableText(MAX_LABEL_CHARACTERS, 'Instead of a number, or beside it: pass, fail, …'),
  comment: nullableText(MAX_COMMENT_CHARACTERS, 'Why.'),
}

export const ScoreDraft = Type.Object(SCORE, { additionalProperties: false })
type ScoreDraft = Static<typeof ScoreDraft>

export const ScoreBatch = Type.Object(
  {
    scores: Type.Array(
      Type.Object({ exchange_id: Type.String(), ...SCORE }, { additionalProperties: false }),
      { minItems: 1, maxItems: MAX_BATCH },
    ),
  },
  { additionalProperties: false },
)

export const ScoreBody = Type.Object({
  object: Type.Literal('score'),
  id: Type.String(),
  exchange_id: Type.String(),
  name: Type.String(),
  evaluator: Type.Unsafe<string | null>({ type: ['string', 'null'] }),
  value: Type.Unsafe<number | null>({ type: ['number', 'null'] }),
  label: Type.Unsafe<string | null>({ type: ['string', 'null'] }),
  comment: Type.Unsafe<string | null>({ type: ['string', 'null'] }),
  created_at: Time,
  updated_at: Time,
})

export const ScoresBody = Type.Object({
  object: Type.Literal('list'),
  data: Type.Array(ScoreBody),
})

export function scoreBody(score: Score): Static<typeof ScoreBody> {
  return {
    object: 'score',
    id: score.id,
    exchange_id: score.exchangeId,
    name: score.name,
    evaluator: score.evaluator || null,
    value: score.value,
    label: score.label,
    comment: score.comment,
    created_at: score.createdAt.toISOString(),
    updated_at: score.updatedAt.toISOString(),
  }
}

/** @param path where it is in the body: '' or 'scores[2].' */
export function readScore(exchangeId: string, draft: ScoreDraft, path = ''): NewScore {
  const { name, evaluator, value = null, label = null, comment = null } = draft
  if (value === null && label === null) {
    throw new GatewayError(
      'missing_required_parameter',
      `A score needs a number or a label: send '${path}value' or '${path}label'.`,
      { param: `${path}value` },
    )
  }
  return {
    exchangeId,
    name: storable(name),
    evaluator: storable(evaluator ?? ''),
    value,
    label: storable(label),
    comment: storable(comment),
  }
}

export function readScores({ scores }: Static<typeof ScoreBatch>, nowMs: number): NewScore[] {
  const seen = new Map<string, number>()
  return scores.map(({ exchange_id: exchangeId, ...draft }, index) => {
    const path = `scores[${index}].`
    const id = parseExchangeId(exchangeId, nowMs)
    if (id === null) throw noExchange(exchangeId, `${path}exchange_id`)
    const score = readScore(id, draft, path)
    const key = JSON.stringify([id, score.name, score.evaluator])
    const before = seen.get(key)
    if (before !== undefined) {
      throw new GatewayError(
        'invalid_value',
        `'scores[${index}]' and 'scores[${before}]' are of the same exchange, name and evaluator; send one of them.`,
        { param: `scores[${index}]` },
      )
    }
    seen.set(key, index)
    return score
  })
}

export function noExchange(id: string, param?: string) {
  return new GatewayError('exchange_not_found', `There is no exchange ${given(id)}.`, { param })
}

const text = (description: string) => Type.Optional(Type.String({ description }))
const number = (description: string) =>
  Type.Optional(
    // A text, as all of a query is.
    Type.String({
      pattern: '^-?\\d{1,15}(\\.\\d{1,15})?$',
      title: 'a number such as 0.5',
      description,
    }),
  )

export const SCORE_QUERY = {
  exchange: text("An exchange's id."),
  name: text('Of this name.'),
  evaluator: text('By this evaluator.'),
  label: text('With this label.'),
  min_value: number('Values of at least that.'),
  max_value: number('Values of at most that.'),
  since: text('Given from this time on, such as 2027-01-31T00:00:00Z.'),
  until: text('Given before this time.'),
}

export function readScoreFilter(
  query: { [Name in keyof typeof SCORE_QUERY]?: string },
  nowMs: number,
): ScoreFilter {
  const { exchange, min_value: min, max_value: max, since, until } = query
  const exchangeId = exchange === undefined ? undefined : parseExchangeId(exchange, nowMs)
  if (exchangeId === null) throw noExchange(exchange ?? '', 'exchange')
  return {
    exchangeId,
    name: storable(query.name),
    evaluator: storable(query.evaluator),
    label: storable(query.label),
    minValue: min === undefined ? undefined : Number(min),
    maxValue: max === undefined ? undefined : Number(max),
    since: since === undefined ? undefined : readTime(since, 'since'),
    until: until === undefined ? undefined : readTime(until, 'until'),
  }
}
