// POST /v1/classify

import { Classifications, classifiedOf, classifyBody } from '../dialects/classify/answer.ts'
import { ClassifyRequest, readClassifyRequest } from '../dialects/classify/request.ts'
import { ErrorBody } from '../dialects/openai/error.ts'
import { needOfClassify } from '../limits/estimate.ts'
import { answerWhole } from '../answering/whole-answer.ts'
import type { WholeDeps } from '../answering/whole-answer.ts'
import type { App } from '../request.ts'

export function classifyRoutes(app: App, deps: WholeDeps) {
  app.post(
    '/v1/classify',
    {
      schema: {
        operationId: 'createClassification',
        summary: 'Label texts, or find names of things in them',
        tags: ['answers'],
        body: ClassifyRequest,
        response: { 200: Classifications, default: ErrorBody },
      },
    },
    async (request, reply) => {
      const asked = readClassifyRequest(request.body)
      const question = { ...asked.question, id: request.id }
      const classification = await answerWhole(
        request,
        reply,
        {
          model: asked.model,
          kinds: ['classify', 'token-classify'],
          needOf: (route) => needOfClassify(question, route),
          ask: (backend, asking) => backend.classify?.(question, asking) ?? null,
        },
        deps,
      )
      const data = classifiedOf(classification, asked.topK)
      request.exchange?.produced(0, JSON.stringify(data), null)
      return classifyBody(request.id, asked.model, data, classification)
    },
  )
}
