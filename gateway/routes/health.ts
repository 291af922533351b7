// /healthz: the process is alive. /readyz: requests can be served, and by what; until then why not, and how far it is.

import { Type } from 'typebox'

import type { Readiness } from '../process/readiness.ts'
import type { App } from '../request.ts'

const ReadinessBody = Type.Object({
  status: Type.String(),
  phase: Type.String(),
  detail: Type.String(),
  progress: Type.Unsafe<number | null>({ type: ['number', 'null'], minimum: 0, maximum: 1 }),
  local_version: Type.Unsafe<string | null>({
    type: ['string', 'null'],
    description: "The server's own model, while it answers.",
  }),
  declared_models: Type.Integer({
    minimum: 0,
    description: 'Models that upstreams answer for.',
  }),
})

export function healthRoutes(app: App, { readiness }: { readiness: Readiness }) {
  app.get(
    '/healthz',
    {
      schema: {
        security: [],
        operationId: 'isAlive',
        summary: 'Tell whether the process is alive',
        tags: ['operation'],
        response: { 200: Type.Object({ status: Type.String() }) },
      },
    },
    () => ({ status: 'ok' }),
  )

  app.get(
    '/readyz',
    {
      schema: {
        security: [],
        operationId: 'isReady',
        summary: 'Tell whether requests can be served, and by what',
        tags: ['operation'],
        response: { 200: ReadinessBody, 503: ReadinessBody },
      },
    },
    (_request, reply) => {
      const { isReady, phase, detail, progress, localVersion, declaredModels } = readiness.report
      reply.code(isReady ? 200 : 503).header('cache-control', 'no-store')
      return {
        status: isReady ? 'ready' : 'not ready',
        phase,
        detail,
        progress,
        local_version: localVersion,
        declared_models: declaredModels,
      }
    },
  )
}
