// Feedback by a caller's key: given, changed, read and withdrawn, of exchanges of the caller's own or of their project;
// and tokens, with which their end users do it themselves.

import { Type } from 'typebox'

import {
  EndUser,
  FeedbackBody,
  feedbackBody,
  FeedbackDraft,
  readOpinion,
  storable,
} from '../dialects/admin/feedback.ts'
import { listBody, listOf, PAGE_QUERY, readPage } from '../dialects/admin/page.ts'
import { ErrorBody } from '../dialects/openai/error.ts'
import { callerOf } from '../plugins/roles.ts'
import { MAX_LIFE_S } from '../feedback/tokens.ts'
import type { FeedbackDeps } from '../feedback/desk.ts'
import type { App } from '../request.ts'

const HOUR_S = 3_600
/** Long enough to read an answer and come back from lunch. */
const DEFAULT_LIFE_S = 24 * HOUR_S

const params = Type.Object({
  id: Type.String({ description: "The exchange's x-request-id, or the id of its answer." }),
})
const tags = ['feedback']
const security = [{ key: [] }]

const TokenBody = Type.Object({
  object: Type.Literal('feedback_token'),
  exchange_id: Type.String(),
  end_user: Type.String(),
  token: Type.String({ description: 'For the header Authorization of /v1/feedback.' }),
  expires_at: Type.String({ format: 'date-time' }),
})

export function feedbackRoutes(app: App, { desk, tokens, pace }: FeedbackDeps) {
  app.post(
    '/v1/exchanges/:id/feedback',
    {
      schema: {
        operationId: 'giveFeedback',
        summary: 'Say what an answer was worth, or change what was said; one for each giver',
        tags,
        security,
        params,
        body: FeedbackDraft,
        response: {
          200: FeedbackBody,
          202: { ...FeedbackBody, description: 'Taken; it is written when the database is back.' },
          default: ErrorBody,
        },
      },
    },
    async (request, reply) => {
      const caller = callerOf(request)
      pace.callers.take(caller.id ?? caller.name)
      const opinion = readOpinion(request.body)
      const endUser = storable(request.body.end_user)
      const taken = await desk.give(caller, request.params.id, opinion, endUser)
      return reply.code(taken.isWritten ? 200 : 202).send(feedbackBody(taken.feedback))
    },
  )

  app.get(
    '/v1/exchanges/:id/feedback',
    {
      schema: {
        operationId: 'listExchangeFeedback',
        summary: 'List what was said of an exchange, newest first',
        tags,
        security,
        params,
        querystring: Type.Object(PAGE_QUERY, { additionalProperties: false }),
        response: { 200: listOf(FeedbackBody), default: ErrorBody },
      },
    },
    async (request) => {
      const page = readPage(request.query)
      return listBody(await desk.list(callerOf(request), request.params.id, page), feedbackBody)
    },
  )

  app.delete(
    '/v1/exchanges/:id/feedback',
    {
      schema: {
        operationId: 'withdrawFeedback',
        summary: "Take back one's own feedback, or that of an end user of one's own",
        tags,
        security,
        params,
        querystring: Type.Object(
          { end_user: Type.Optional(EndUser) },
          { additionalProperties: false },
        ),
        response: { 204: Type.Null(), default: ErrorBody },
      },
    },
    async (request, reply) => {
      await desk.withdraw(callerOf(request), request.params.id, storable(request.query.end_user))
      return reply.code(204).send(null)
    },
  )

  app.post(
    '/v1/exchanges/:id/feedback-token',
    {
      schema: {
        operationId: 'createFeedbackToken',
        summary: 'Make a token with which an end user says what this one answer was worth',
        tags,
        security,
        params,
        body: Type.Unsafe<{ end_user?: string; expires_in?: number } | null>({
          type: ['object', 'null'],
          properties: {
            end_user: { ...EndUser, description: 'Absent: whom the exchange was asked for.' },
            expires_in: {
              type: 'integer',
              minimum: 1,
              maximum: MAX_LIFE_S,
              description: `Seconds; absent: ${DEFAULT_LIFE_S}.`,
            },
          },
          additionalProperties: false,
        }),
        response: { 201: TokenBody, default: ErrorBody },
      },
    },
    async (request, reply) => {
      const caller = callerOf(request)
      pace.callers.take(caller.id ?? caller.name)
      const { end_user: endUser, expires_in: lifeS = DEFAULT_LIFE_S } = request.body ?? {}
      const grant = await desk.grant(caller, request.params.id, storable(endUser))
      const { token, expiresAt } = await tokens.sign(grant, lifeS)
      return reply.code(201).send({
        object: 'feedback_token',
        exchange_id: grant.exchangeId,
        end_user: grant.endUser,
        token,
        expires_at: expiresAt.toISOString(),
      })
    },
  )
}
