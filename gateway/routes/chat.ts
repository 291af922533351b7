// POST /v1/chat/completions

import { answer } from '../answering/answer.ts'
import { chatAnswer } from '../dialects/openai/chat-answer.ts'
import { ChatRequest, readChatRequest } from '../dialects/openai/chat-request.ts'
import { answerResponses, ChatCompletion } from '../dialects/openai/responses.ts'
import type { AnswerDeps } from '../answering/answer.ts'
import type { App } from '../request.ts'

export function chatRoutes(app: App, deps: AnswerDeps) {
  app.post(
    '/v1/chat/completions',
    {
      schema: {
        operationId: 'createChatCompletion',
        summary: 'Answer a conversation',
        tags: ['answers'],
        body: ChatRequest,
        response: answerResponses(ChatCompletion),
      },
    },
    (request, reply) => answer(request, reply, readChatRequest(request.body), chatAnswer, deps),
  )
}
