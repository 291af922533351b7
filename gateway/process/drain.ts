// How a gateway ends: running answers finish, or are told why they don't; whoever comes meanwhile is told to go elsewhere.
//
// Knows: answers and exchanges that are open. Does not know: what is behind them, which is stopped after this.

import type { FastifyBaseLogger } from 'fastify'

import { GatewayError } from '../errors.ts'
import type { Exchange } from '../exchange/exchange.ts'
import type { OpenAnswers } from './listening.ts'
import type { Readiness } from './readiness.ts'
import type { App } from '../request.ts'

interface Draining {
  app: Pick<App, 'close' | 'server'>
  answers: OpenAnswers
  openExchanges: ReadonlySet<Exchange>
  readiness: Readiness
  logger: FastifyBaseLogger
  /** for running answers to end */
  drainMs: number
  /** cuts what still runs */
  hurry: AbortSignal
}

/** for the errors that end what could not be waited for */
const LAST_WORDS_MS = 500
const SHUT_DOWN = 'The server is shutting down and could not wait for the end of this answer.'

/** Resolves when nothing is open any more, and nobody listens. */
export async function drain(draining: Draining): Promise<void> {
  const { app, answers, openExchanges, readiness, logger, drainMs, hurry } = draining
  readiness.drain()
  logger.info({ answers: answers.count, drainMs }, 'the gateway drains')
  // Still listening: whoever comes now is told that this server goes away, instead of nothing at all.
  await answers.none(AbortSignal.any([hurry, AbortSignal.timeout(drainMs)]))
  const closed = app.close()
  if (answers.count > 0) {
    logger.warn({ answers: answers.count }, 'answers that still ran are cut')
    for (const exchange of openExchanges) exchange.cut(new GatewayError('shut_down', SHUT_DOWN))
    // A client that doesn't read can't be told.
    await answers.none(AbortSignal.timeout(LAST_WORDS_MS))
    app.server.closeAllConnections()
  }
  await closed
}
