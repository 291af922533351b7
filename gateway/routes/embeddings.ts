// POST /v1/embeddings

import { mayAsk } from '../callers/caller.ts'
import { EmbeddingList, embeddingsBody } from '../dialects/openai/embeddings-answer.ts'
import { EmbeddingsRequest, readEmbeddingsRequest } from '../dialects/openai/embeddings-request.ts'
import { ErrorBody } from '../dialects/openai/error.ts'
import { needOfEmbedding } from '../limits/estimate.ts'
import { reserve } from '../reserve.ts'
import { chosenFor } from '../routing/chosen-for.ts'
import { findRoute } from '../routing/find-route.ts'
import { stickyKeyOf } from '../sticky-key.ts'
import { targetHeaders } from '../target-headers.ts'
import type { Limits } from '../limits/limits.ts'
import type { App } from '../request.ts'
import type { Routes } from '../routing/route.ts'
import type { Router } from '../routing/router.ts'

export interface EmbeddingDeps {
  routes: Routes
  router: Pick<Router, 'embed'>
  limits: Limits
}

export function embeddingRoutes(app: App, { routes, router, limits }: EmbeddingDeps) {
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
      const { exchange, caller } = request
      if (!exchange || !caller) {
        throw new Error('A route that answers knows no caller. This is a bug.')
      }
      const { question, model, encodingFormat } = readEmbeddingsRequest(request.body)
      const found = await findRoute(routes, model, (name) => mayAsk(caller, name))
      const stickyKey = stickyKeyOf(request, found)
      const route = chosenFor(found, stickyKey)
      await reserve(
        request,
        reply,
        limits,
        needOfEmbedding({ ...question, id: exchange.id }, route),
      )
      exchange.signal.throwIfAborted()
      const { target, ...embeddings } = await router.embed(
        route,
        { ...question, id: exchange.id },
        {
          signal: exchange.signal,
          stickyKey,
          onAsk: (asked) => exchange.asking(route.model, asked),
          onAttempt: (attempt) => exchange.attempted(attempt),
        },
      )
      const { promptTokens, isEstimated } = embeddings
      exchange.settled({ promptTokens, cachedTokens: 0, completionTokens: 0, isEstimated }, null)
      reply.headers({
        ...targetHeaders(target, exchange.attempts.length),
        'x-headrace-overhead-ms': exchange.began().toFixed(1),
      })
      return embeddingsBody(embeddings, model, encodingFormat)
    },
  )
}
