// /metrics for Prometheus: open where only this machine can ask, behind a token elsewhere.

import { hash, timingSafeEqual } from 'node:crypto'

import { Type } from 'typebox'

import { ErrorBody } from '../dialects/openai/error.ts'
import { GatewayError } from '../errors.ts'
import { bearerToken } from '../plugins/auth.ts'
import type { Metrics } from '../metrics/metrics.ts'
import type { App } from '../request.ts'

export interface MetricsRouteDeps {
  metrics: Metrics
  /** null where the server is bound to loopback */
  metricsToken: string | null
  /** SHA-256 of the admin key, which may call everything */
  adminKeyHash: Buffer
}

export function metricsRoute(app: App, { metrics, metricsToken, adminKeyHash }: MetricsRouteDeps) {
  const allowed = metricsToken === null ? null : [digestOf(metricsToken), adminKeyHash]
  app.get(
    '/metrics',
    {
      schema: {
        operationId: 'readMetrics',
        summary: "Give the metrics in Prometheus' text format",
        tags: ['operation'],
        response: {
          200: { description: 'Metrics', content: { 'text/plain': { schema: Type.String() } } },
          default: ErrorBody,
        },
      },
    },
    async (request, reply) => {
      const token = bearerToken(request.headers.authorization)
      if (allowed && !(token && isAmong(digestOf(token), allowed))) {
        reply.header('www-authenticate', 'Bearer')
        throw new GatewayError(
          'invalid_api_key',
          'The metrics are behind a token here. Send it in a header: Authorization: Bearer TOKEN.',
        )
      }
      reply.type(metrics.contentType)
      return metrics.render()
    },
  )
}

function digestOf(token: string): Buffer {
  return hash('sha256', token, 'buffer')
}

function isAmong(digest: Buffer, allowed: Buffer[]): boolean {
  return allowed.some((other) => timingSafeEqual(digest, other))
}
