// Whoever asks for it in a header gets a feedback token with the answer: one request less for their server to make.
//
//   x-headrace-feedback-token: 3600    with the request: how many seconds it shall hold
//   x-headrace-feedback-token: eyJ…    with the answer, streamed or not

import { GatewayError } from '../errors.ts'
import { MAX_LIFE_S } from '../feedback/tokens.ts'
import type { FeedbackTokens } from '../feedback/tokens.ts'
import type { App } from '../request.ts'

const HEADER = 'x-headrace-feedback-token'

export function offerFeedbackTokens(app: App, tokens: FeedbackTokens) {
  app.addHook('preHandler', async ({ id, caller, exchange, headers }, reply) => {
    const wish = headers[HEADER]
    if (wish === undefined || !caller) return
    const { token } = await tokens.sign(
      {
        exchangeId: id,
        endUser: exchange?.endUser ?? '',
        callerId: caller.id,
        callerName: caller.name,
        projectId: caller.project?.id ?? null,
        bodies: caller.bodies,
        isConfirmed: true,
      },
      readLife(wish),
    )
    reply.header(HEADER, token)
  })
}

function readLife(wish: string | string[]): number {
  const seconds = /^\d{1,8}$/.test(String(wish)) ? Number(wish) : 0
  if (seconds >= 1 && seconds <= MAX_LIFE_S) return seconds
  throw new GatewayError(
    'invalid_value',
    `The header '${HEADER}' must be a number of seconds from 1 to ${MAX_LIFE_S}.`,
    { param: HEADER },
  )
}
