// What a log-writer tells: /healthz, it is alive; /readyz, it can write, or what is in the way; /metrics for Prometheus.
//
// Knows: HTTP. Does not know: how exchanges are written.

import { hash, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { IncomingMessage, ServerResponse } from 'node:http'

import { isLoopback } from '../settings/config.ts'
import { urlOf } from '../process/listening.ts'
import type { LogWriter } from './log-writer.ts'
import type { LogWriterMetrics } from '../metrics/log-writer-metrics.ts'

export interface LogWriterServerOptions {
  host: string
  port: number
  writer: Pick<LogWriter, 'isConnected' | 'isWriting'>
  metrics: LogWriterMetrics
  /** null: open where only this machine can ask, closed elsewhere */
  metricsToken: string | null
}

/** @throws Error that says why the address can't be listened at */
export async function listenForProbes(options: LogWriterServerOptions) {
  const { host, port } = options
  const server = createServer((request, response) => void answer(request, response, options))
  try {
    server.listen(port, host)
    await once(server, 'listening')
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(
      `Listening on port ${port} of ${host} failed (${reason}); set HEADRACE_LOG_WRITER_LISTEN to another address.`,
      { cause: error },
    )
  }
  const url = urlOf(host, (server.address() as AddressInfo).port)
  const close = async () => {
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }
  return { url, close }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { host, writer, metrics, metricsToken }: LogWriterServerOptions,
): Promise<void> {
  const tell = (status: number, body: string, type = 'application/json; charset=utf-8') => {
    response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(body)
  }
  const path = request.url?.split('?')[0]
  if (request.method !== 'GET') return tell(405, '{"error":"Allowed is GET."}')
  switch (path) {
    case '/healthz':
      return tell(200, '{"status":"ok"}')
    case '/readyz': {
      const { isConnected, isWriting } = writer
      const isReady = isConnected && isWriting
      const body = {
        status: isReady ? 'ready' : 'not ready',
        broker: isConnected ? 'connected' : 'away',
        database: isWriting ? 'writing' : 'away',
      }
      return tell(isReady ? 200 : 503, JSON.stringify(body))
    }
    case '/metrics': {
      const token = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '')?.[1]
      const isOpen = metricsToken === null ? isLoopback(host) : isSame(token ?? '', metricsToken)
      if (isOpen) return tell(200, await metrics.text(), metrics.contentType)
      return tell(
        401,
        '{"error":"Metrics need the bearer token that HEADRACE_METRICS_TOKEN sets."}',
      )
    }
    default:
      return tell(404, '{"error":"There are /healthz, /readyz and /metrics."}')
  }
}

function isSame(given: string, wanted: string): boolean {
  return timingSafeEqual(hash('sha256', given, 'buffer'), hash('sha256', wanted, 'buffer'))
}
