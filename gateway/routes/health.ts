// /healthz: the process is alive. /readyz: the default model answers; until then why it doesn't, and how far it is.

import { Type } from 'typebox'

import type { Readiness } from '../readiness.ts'
import type { App } from '../request.ts'

const ReadinessBody = Type.Object({
  status: Type.String(),
  phase: Type.String(),
  detail: Type.String(),
  progress: Type.Unsafe<number | null>({ type: ['number', 'null'], minimum: 0, maximum: 1 }),
})

export function healthRoutes(app: App, { readiness }: { readiness: Readiness }) {
  app.get(
    '/healthz',
    {
      schema: {
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
        operationId: 'isReady',
        summary: 'Tell whether the default model answers',
        tags: ['operation'],
        response: { 200: ReadinessBody, 503: ReadinessBody },
      },
    },
    (_request, reply) => {
      const { isReady, phase, detail, progress } = readiness.report
      reply.code(isReady ? 200 : 503).header('cache-control', 'no-store')
      return { status: isReady ? 'ready' : 'not ready', phase, detail, progress }
    },
  )
}
