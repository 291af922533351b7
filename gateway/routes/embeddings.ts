// POST /v1/embeddings

import { EmbeddingList, embeddingsBody } from '../dialects/openai/embeddings-answer.ts'
import { EmbeddingsRequest, readEmbeddingsRequest } from '../dialects/openai/embeddings-request.ts'
import { ErrorBody } from '../dialects/openai/error.ts'
import { needOfEmbedding } from '../limits/estimate.ts'
import { answerWhole } from '../answering/whole-answer.ts'
import type { WholeDeps } from '../answering/whole-answer.ts'
import type { App } from '../request.ts'

export function embeddingRoutes(app: App, deps: WholeDeps) {
  app.post(
    '/v1/embeddings',
    {
      schema: {
        operationId: 'createEmbedding',
        summary: 'Turn texts into vectors',
        tags: ['answers'],
        body: EmbeddingsRequest,
        response: { 200: EmbeddingList, default: ErrorBody },
      },
    },
    async (request, reply) => {
      const asked = readEmbeddingsRequest(request.body)
      const question = { ...asked.question, id: request.id }
      const embeddings = await answerWhole(
        request,
        reply,
        {
          model: asked.model,
          kinds: ['embed'],
          needOf: (route) => needOfEmbedding(question, route),
          ask: (backend, asking) => backend.embed?.(question, asking) ?? null,
        },
        deps,
      )
      return embeddingsBody(embeddings, asked.model, asked.encodingFormat)
    },
  )
}
