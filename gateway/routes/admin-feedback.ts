// /admin/feedback: what was said of all exchanges, or of one.

import { Type } from 'typebox'

import { namesOf } from '../administration/end-users.ts'
import { confirmFeedback, deleteFeedback, listFeedback } from '../db/feedback.ts'
import {
  FEEDBACK_QUERY,
  FeedbackBody,
  feedbackBody,
  FeedbackDraft,
  readFeedbackFilter,
  readOpinion,
  storable,
} from '../dialects/admin/feedback.ts'
import { listBody, listOf, PAGE_QUERY, readPage } from '../dialects/admin/page.ts'
import { ErrorBody } from '../dialects/openai/error.ts'
import { GatewayError } from '../errors.ts'
import { callerOf, requireRole } from '../plugins/roles.ts'
import type { Pool } from '../db/pool.ts'
import type { FeedbackDesk } from '../feedback/desk.ts'
import type { Pseudonyms } from '../privacy/pseudonyms.ts'
import type { App } from '../request.ts'

const tags = ['feedback']
const security = [{ key: [] }]
const exchangeParams = Type.Object({
  id: Type.String({ description: "The exchange's x-request-id, or the id of its answer." }),
})
/** what is waiting to be shown, at most, in one look at the list */
const CONFIRM_LIMIT = 500

export interface AdminFeedbackDeps {
  pool: Pool
  desk: FeedbackDesk
  pseudonyms: Pick<Pseudonyms, 'of'>
}

export function adminFeedbackRoutes(app: App, { pool, desk, pseudonyms }: AdminFeedbackDeps) {
  const onRequest = requireRole('admin')

  app.get(
    '/admin/feedback',
    {
      onRequest,
      schema: {
        operationId: 'listFeedback',
        summary: 'List feedback, newest first',
        tags,
        security,
        querystring: Type.Object(
          { ...PAGE_QUERY, ...FEEDBACK_QUERY },
          { additionalProperties: false },
        ),
        response: { 200: listOf(FeedbackBody), default: ErrorBody },
      },
    },
    async ({ query }) => {
      const filter = readFeedbackFilter(query, (endUser) => namesOf(endUser, pseudonyms))
      await confirmFeedback(pool, null, CONFIRM_LIMIT)
      return listBody(await listFeedback(pool, filter, readPage(query)), feedbackBody)
    },
  )

  app.delete(
    '/admin/feedback/:id',
    {
      onRequest,
      schema: {
        operationId: 'deleteFeedback',
        summary: 'Delete one feedback, whoever gave it',
        tags,
        security,
        params: Type.Object({ id: Type.String({ format: 'uuid', title: "a feedback's id" }) }),
        response: { 200: FeedbackBody, default: ErrorBody },
      },
    },
    async ({ params: { id } }) => {
      const deleted = await deleteFeedback(pool, id)
      if (deleted) return feedbackBody(deleted)
      throw new GatewayError('feedback_not_found', `There is no feedback '${id}'.`)
    },
  )

  app.get(
    '/admin/exchanges/:id/feedback',
    {
      onRequest,
      schema: {
        operationId: 'listFeedbackOfExchange',
        summary: 'List what was said of an exchange, newest first',
        tags,
        security,
        params: exchangeParams,
        querystring: Type.Object(PAGE_QUERY, { additionalProperties: false }),
        response: { 200: listOf(FeedbackBody), default: ErrorBody },
      },
    },
    async (request) => {
      const page = readPage(request.query)
      return listBody(await desk.list(callerOf(request), request.params.id, page), feedbackBody)
    },
  )

  app.post(
    '/admin/exchanges/:id/feedback',
    {
      onRequest,
      schema: {
        operationId: 'giveFeedbackAsAdmin',
        summary: 'Say what an answer was worth, for oneself or for an end user, or change it',
        tags,
        security,
        params: exchangeParams,
        body: FeedbackDraft,
        response: { 200: FeedbackBody, 202: FeedbackBody, default: ErrorBody },
      },
    },
    async (request, reply) => {
      const { body, params } = request
      const endUser = storable(body.end_user)
      const taken = await desk.give(callerOf(request), params.id, readOpinion(body), endUser)
      return reply.code(taken.isWritten ? 200 : 202).send(feedbackBody(taken.feedback))
    },
  )
}
