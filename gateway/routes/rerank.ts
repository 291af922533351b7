// POST /v1/rerank

import { ErrorBody } from '../dialects/openai/error.ts'
import { rankedOf, rerankBody, RerankList } from '../dialects/rerank/answer.ts'
import { readRerankRequest, RerankRequest } from '../dialects/rerank/request.ts'
import { needOfRerank } from '../limits/estimate.ts'
import { answerWhole } from '../answering/whole-answer.ts'
import type { WholeDeps } from '../answering/whole-answer.ts'
import type { App } from '../request.ts'

export function rerankRoutes(app: App, deps: WholeDeps) {
  app.post(
    '/v1/rerank',
    {
      schema: {
        operationId: 'createRerank',
        summary: 'Put documents in the order in which they answer a query',
        tags: ['answers'],
        body: RerankRequest,
        response: { 200: RerankList, default: ErrorBody },
      },
    },
    async (request, reply) => {
      const asked = readRerankRequest(request.body)
      const question = { ...asked.question, id: request.id }
      const ranking = await answerWhole(
        request,
        reply,
        {
          model: asked.model,
          kinds: ['rerank'],
          needOf: (route) => needOfRerank(question, route),
          ask: (backend, asking) => backend.rerank?.(question, asking) ?? null,
        },
        deps,
      )
      const ranked = rankedOf(ranking, asked.topN)
      request.exchange?.produced(0, JSON.stringify(ranked), null)
      return rerankBody(request.id, asked, ranking, ranked)
    },
  )
}
