// POST /v1/messages and POST /v1/messages/count_tokens, for Anthropic's clients
//
// Their errors are in Anthropic's shape: app.ts registers them on an app of their own, with that dialect's writer.

import { answer } from '../answering/answer.ts'
import { mayAsk } from '../callers/caller.ts'
import { BETA_HEADER, readBetas } from '../dialects/anthropic/betas.ts'
import { AnthropicErrorBody } from '../dialects/anthropic/error.ts'
import { messageAnswer } from '../dialects/anthropic/message-answer.ts'
import {
  CountTokensRequest,
  MessagesRequest,
  readCountTokensRequest,
  readMessagesRequest,
} from '../dialects/anthropic/messages-request.ts'
import { Message, TokenCount } from '../dialects/anthropic/responses.ts'
import { answerResponses } from '../dialects/openai/responses.ts'
import { findRoute } from '../routing/find-route.ts'
import { countTokens } from '../answering/token-count.ts'
import type { AnswerDeps } from '../answering/answer.ts'
import type { App } from '../request.ts'

export function messageRoutes(app: App, deps: AnswerDeps) {
  // Where Anthropic's clients look for it: on streams, which the second hook does not see, and on errors of earlier
  // hooks, which the first does not.
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('request-id', request.id)
    done()
  })
  app.addHook('onSend', (request, reply, _payload, done) => {
    reply.header('request-id', request.id)
    done()
  })

  app.post(
    '/v1/messages',
    {
      schema: {
        operationId: 'createMessage',
        summary: "Answer a conversation, in Anthropic's dialect",
        tags: ['answers'],
        body: MessagesRequest,
        response: { ...answerResponses(Message), default: AnthropicErrorBody },
      },
    },
    (request, reply) => {
      const asked = readMessagesRequest(request.body, readBetas(request.headers[BETA_HEADER]))
      return answer(request, reply, asked, messageAnswer, deps)
    },
  )

  app.post(
    '/v1/messages/count_tokens',
    {
      schema: {
        operationId: 'countMessageTokens',
        summary: 'Count the tokens of a prompt, or estimate them',
        tags: ['answers'],
        body: CountTokensRequest,
        response: {
          200: {
            description: 'The tokens.',
            headers: {
              'x-headrace-token-count': {
                type: 'string',
                description: '`measured` by who would answer, or `estimated` from characters.',
              },
            },
            content: { 'application/json': { schema: TokenCount } },
          },
          default: AnthropicErrorBody,
        },
      },
    },
    async (request, reply) => {
      const { exchange, caller } = request
      if (!exchange || !caller) throw new Error('A count knows no caller. This is a bug.')
      const asked = readCountTokensRequest(request.body, readBetas(request.headers[BETA_HEADER]))
      const route = await findRoute(deps.routes, request.body.model, (model) =>
        mayAsk(caller, model),
      )
      const question = { ...asked, id: exchange.id, isStreamed: false }
      const { tokens, isEstimated } = await countTokens(route, question, exchange.signal)
      reply.header('x-headrace-token-count', isEstimated ? 'estimated' : 'measured')
      return { input_tokens: tokens }
    },
  )
}
