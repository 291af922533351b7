// /v1/feedback: an end user's own word about one answer, from a browser, with a token alone.
//
// Any page may ask here, and only here: no cookie is read, and a token opens nothing else. What comes again from the
// same end user changes what was there.

import { Type } from 'typebox'

import {
  OpinionDraft,
  OwnFeedbackBody,
  ownFeedbackBody,
  readOpinion,
} from '../dialects/admin/feedback.ts'
import { ErrorBody } from '../dialects/openai/error.ts'
import { GatewayError } from '../errors.ts'
import { bearerToken } from '../plugins/auth.ts'
import type { FeedbackDeps } from '../feedback/desk.ts'
import type { FeedbackGrant } from '../feedback/tokens.ts'
import type { App } from '../request.ts'

const PATH = '/v1/feedback'
/** a comment and a correction as long as they may be, in any script */
const MAX_BYTES = 256 * 1024
const tags = ['feedback']
const security = [{ feedbackToken: [] }]

const CORS = {
  'access-control-allow-origin': '*',
  'access-control-expose-headers': 'x-request-id, retry-after',
}
const PREFLIGHT = {
  'access-control-allow-methods': 'GET, POST, DELETE',
  'access-control-allow-headers': 'authorization, content-type',
  // Chromium's most: more is cut to that
  'access-control-max-age': '7200',
}

export function endUserFeedbackRoutes(app: App, { desk, tokens, pace }: FeedbackDeps) {
  app.addHook('onRequest', (_request, reply, done) => {
    reply.headers(CORS)
    done()
  })

  const grantOf = async (authorization: string | undefined): Promise<FeedbackGrant> => {
    const token = bearerToken(authorization)
    if (token === null) {
      throw new GatewayError(
        'invalid_token',
        'There is no feedback token. Send it in a header: Authorization: Bearer TOKEN.',
      )
    }
    const grant = await tokens.verify(token)
    pace.endUsers.take(`${grant.exchangeId} ${grant.endUser}`)
    return grant
  }

  app.options(PATH, { schema: { hide: true } }, (_request, reply) =>
    reply.headers(PREFLIGHT).code(204).send(),
  )

  app.post(
    PATH,
    {
      bodyLimit: MAX_BYTES,
      schema: {
        operationId: 'giveOwnFeedback',
        summary: 'As an end user with a token: say what an answer was worth, or change it',
        tags,
        security,
        body: OpinionDraft,
        response: { 200: OwnFeedbackBody, 202: OwnFeedbackBody, default: ErrorBody },
      },
    },
    async (request, reply) => {
      const grant = await grantOf(request.headers.authorization)
      const taken = await desk.giveByGrant(grant, readOpinion(request.body))
      return reply.code(taken.isWritten ? 200 : 202).send(ownFeedbackBody(taken.feedback))
    },
  )

  app.get(
    PATH,
    {
      schema: {
        operationId: 'getOwnFeedback',
        summary: "As an end user with a token: read one's own feedback",
        tags,
        security,
        response: { 200: OwnFeedbackBody, default: ErrorBody },
      },
    },
    async (request) => {
      const grant = await grantOf(request.headers.authorization)
      return ownFeedbackBody(await desk.findByGrant(grant))
    },
  )

  app.delete(
    PATH,
    {
      schema: {
        operationId: 'withdrawOwnFeedback',
        summary: "As an end user with a token: take back one's own feedback",
        tags,
        security,
        response: { 204: Type.Null(), default: ErrorBody },
      },
    },
    async (request, reply) => {
      await desk.withdrawByGrant(await grantOf(request.headers.authorization))
      return reply.code(204).send(null)
    },
  )
}
