// While the server shuts down, new requests are refused and told to use another connection.

import { GatewayError } from '../errors.ts'
import type { Readiness } from '../process/readiness.ts'
import type { App } from '../request.ts'

/** how often connections that became idle are looked for while the last answers run */
const IDLE_SWEEP_MS = 50

export function refuseWhileDraining(app: App, readiness: Readiness) {
  app.addHook('onRequest', (_request, reply, done) => {
    if (!readiness.isDraining) return done()
    reply.header('connection', 'close')
    done(new GatewayError('draining', readiness.report.detail))
  })
}

/** Makes closing the app wait for running answers, and for nothing else. */
export function drainOnClose(app: App, readiness: Readiness) {
  app.addHook('preClose', (done) => {
    readiness.drain()
    // Node closes the connections that are idle when the server closes. One that becomes idle afterwards, at the end
    // of its stream, would hold the server for as long as its client keeps it alive.
    const sweep = setInterval(() => app.server.closeIdleConnections(), IDLE_SWEEP_MS).unref()
    app.server.once('close', () => clearInterval(sweep))
    done()
  })
}
