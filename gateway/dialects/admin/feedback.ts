// Feedback in the wire format that callers, end users and admins share.

import { Type } from 'typebox'
import type { Static } from 'typebox'

import { GatewayError } from '../../errors.ts'
import { readTime, Time } from './fields.ts'
import type { Feedback, FeedbackFilter, GivenBy, Opinion, Thumb } from '../../db/feedback.ts'

/** A few paragraphs; and as long as an answer may well be. */
export const MAX_COMMENT_CHARACTERS = 4_000
export const MAX_CORRECTION_CHARACTERS = 32_000
export const MAX_END_USER_CHARACTERS = 256

const optionalText = (maxLength: number, description: string) =>
  Type.Optional(Type.Unsafe<string | null>({ type: ['string', 'null'], maxLength, description }))

const OPINION = {
  thumb: Type.Optional(
    Type.Unsafe<Thumb | null>({ enum: ['up', 'down', null], title: '"up", "down" or null' }),
  ),
  score: Type.Optional(
    Type.Unsafe<number | null>({
      type: ['integer', 'null'],
      minimum: 1,
      maximum: 5,
      description: 'From 1, the worst, to 5.',
    }),
  ),
  comment: optionalText(MAX_COMMENT_CHARACTERS, "In the giver's own words."),
  correction: optionalText(MAX_CORRECTION_CHARACTERS, 'The answer that it should have been.'),
}

export const EndUser = Type.String({
  minLength: 1,
  maxLength: MAX_END_USER_CHARACTERS,
  description: 'The end user, by the name that the caller has for them.',
})

const SAYS_SOMETHING = {
  additionalProperties: false,
  description: 'What is not named stays as it was given before; null takes away.',
}

/** By a token: it says whose it is. */
export const OpinionDraft = Type.Object(OPINION, SAYS_SOMETHING)

export const FeedbackDraft = Type.Object(
  { ...OPINION, end_user: Type.Optional(EndUser) },
  SAYS_SOMETHING,
)

export const FeedbackBody = Type.Object({
  object: Type.Literal('feedback'),
  id: Type.String(),
  exchange_id: Type.String(),
  given_by: Type.Unsafe<GivenBy>({ type: 'string', enum: ['end_user', 'caller', 'admin'] }),
  end_user: Type.Unsafe<string | null>({ type: ['string', 'null'] }),
  caller: Type.Unsafe<{ id: string | null; name: string | null } | null>({
    type: ['object', 'null'],
    properties: { id: { type: ['string', 'null'] }, name: { type: ['string', 'null'] } },
    description: 'Whose key, or whose token, it was given with.',
  }),
  thumb: Type.Unsafe<Thumb | null>({ enum: ['up', 'down', null] }),
  score: Type.Unsafe<number | null>({ type: ['integer', 'null'] }),
  comment: Type.Unsafe<string | null>({ type: ['string', 'null'] }),
  correction: Type.Unsafe<string | null>({ type: ['string', 'null'] }),
  model: Type.Unsafe<string | null>({ type: ['string', 'null'] }),
  version: Type.Unsafe<string | null>({ type: ['string', 'null'] }),
  given_at: Time,
  updated_at: Time,
})

export function feedbackBody(feedback: Feedback): Static<typeof FeedbackBody> {
  return {
    object: 'feedback',
    id: feedback.id,
    exchange_id: feedback.exchangeId,
    given_by: feedback.givenBy,
    end_user: feedback.endUser,
    caller: { id: feedback.callerId, name: feedback.callerName },
    thumb: feedback.thumb,
    score: feedback.score,
    comment: feedback.comment,
    correction: feedback.correction,
    model: feedback.model,
    version: feedback.version,
    given_at: feedback.givenAt.toISOString(),
    updated_at: feedback.updatedAt.toISOString(),
  }
}

/** What an end user is told of their own: nothing of how the house is built. */
export const OwnFeedbackBody = Type.Omit(FeedbackBody, ['caller', 'model', 'version', 'given_by'])

export function ownFeedbackBody(feedback: Feedback): Static<typeof OwnFeedbackBody> {
  const { object, id, exchange_id, end_user, given_at, updated_at } = feedbackBody(feedback)
  const { thumb, score, comment, correction } = feedback
  const said = { thumb, score, comment, correction }
  return { object, id, exchange_id, end_user, ...said, given_at, updated_at }
}

/** @throws GatewayError where nothing is said */
export function readOpinion(body: Opinion): Opinion {
  const { thumb, score, comment, correction } = body
  const opinion = { thumb, score, comment: storable(comment), correction: storable(correction) }
  const said = Object.entries(opinion).filter(([, value]) => value !== undefined)
  if (said.length > 0) return Object.fromEntries(said)
  throw new GatewayError(
    'missing_required_parameter',
    "Nothing is said: send at least one of 'thumb', 'score', 'comment' and 'correction'.",
    { param: 'thumb' },
  )
}

/** PostgreSQL's text has neither NUL nor half a surrogate pair. */
export function storable<Text extends string | null | undefined>(text: Text): Text {
  if (typeof text !== 'string') return text
  return text.replaceAll('\0', '\ufffd').toWellFormed() as Text
}

const text = (description: string) => Type.Optional(Type.String({ description }))
// Texts, as all of a query is.
const score = (description: string) =>
  Type.Optional(
    Type.Unsafe<'1' | '2' | '3' | '4' | '5'>({
      enum: ['1', '2', '3', '4', '5'],
      title: 'a whole number from 1 to 5',
      description,
    }),
  )

export const FEEDBACK_QUERY = {
  thumb: Type.Optional(Type.Unsafe<Thumb>({ enum: ['up', 'down'] })),
  min_score: score('Scores of at least that.'),
  max_score: score('Scores of at most that.'),
  model: text('Of this model.'),
  version: text('Of this version, as model@number.'),
  end_user: text('By this end user.'),
  given_by: Type.Optional(Type.Unsafe<GivenBy>({ enum: ['end_user', 'caller', 'admin'] })),
  since: text('Given from this time on, such as 2027-01-31T00:00:00Z.'),
  until: text('Given before this time.'),
}

type FeedbackQuery = { [Name in keyof typeof FEEDBACK_QUERY]?: string }

/** @param namesOf what rows may have for an end user */
export function readFeedbackFilter(
  query: FeedbackQuery,
  namesOf: (endUser: string) => string[],
): FeedbackFilter {
  const { min_score: min, max_score: max, since, until } = query
  return {
    thumb: query.thumb as Thumb | undefined,
    minScore: min === undefined ? undefined : Number(min),
    maxScore: max === undefined ? undefined : Number(max),
    model: storable(query.model),
    version: storable(query.version),
    endUsers: query.end_user === undefined ? undefined : namesOf(storable(query.end_user)),
    givenBy: query.given_by as GivenBy | undefined,
    since: since === undefined ? undefined : readTime(since, 'since'),
    until: until === undefined ? undefined : readTime(until, 'until'),
  }
}
