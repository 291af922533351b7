// POST /v1/completions

import { answer } from '../answering/answer.ts'
import { completionAnswer } from '../dialects/openai/completion-answer.ts'
import { CompletionRequest, readCompletionRequest } from '../dialects/openai/completion-request.ts'
import { answerResponses, Completion } from '../dialects/openai/responses.ts'
import type { AnswerDeps } from '../answering/answer.ts'
import type { App } from '../request.ts'

export function completionRoutes(app: App, deps: AnswerDeps) {
  app.post(
    '/v1/completions',
    {
      schema: {
        operationId: 'createCompletion',
        summary: 'Continue a text',
        tags: ['answers'],
        body: CompletionRequest,
        response: answerResponses(Completion),
      },
    },
    (request, reply) =>
      answer(request, reply, readCompletionRequest(request.body), completionAnswer, deps),
  )
}
