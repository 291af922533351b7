// Opens an Exchange for each request of the routes it is given to, and closes it when the socket does.
//
// The response's `close` is the only place where an exchange ends: it comes after the last byte of an answer, and also
// when the client leaves, wherever the request then is. (onResponse does not run when a client hangs up in the middle of
// a stream.) There the metrics are observed and the record is handed to the log, once.

import { Exchange } from '../exchange.ts'
import type { ExchangeRecord } from '../exchange.ts'
import type { Metrics } from '../metrics/metrics.ts'
import type { App } from '../request.ts'

export interface ExchangeLog {
  append(record: ExchangeRecord): void
}

/**
 * Rows in a minute for requests whose caller is not known: enough to see what comes, and no way for who has no key to
 * fill the table. The metrics count them all.
 */
const MAX_STRANGERS_PER_MINUTE = 100
const MINUTE_MS = 60_000

export interface ExchangeDeps {
  exchangeLog: ExchangeLog
  metrics: Metrics
  /** those that have not closed */
  open: Set<Exchange>
  /** milliseconds since 1970, monotonic */
  now: () => number
}

const MAX_MODEL_CHARACTERS = 256

export function recordExchanges(app: App, { exchangeLog, metrics, open, now }: ExchangeDeps) {
  let minuteMs = -Infinity
  let strangers = 0
  const hasRoomForStranger = () => {
    if (now() - minuteMs >= MINUTE_MS) {
      minuteMs = now()
      strangers = 0
    }
    return ++strangers <= MAX_STRANGERS_PER_MINUTE
  }

  app.addHook('onRequest', (request, reply, done) => {
    const exchange = new Exchange(
      request.id,
      request.method,
      request.routeOptions.url ?? request.url,
      now,
    )
    request.exchange = exchange
    open.add(exchange)
    metrics.opened()
    const { raw } = reply
    raw.once('close', () => {
      const record = exchange.close(raw.headersSent ? raw.statusCode : null, raw.writableFinished)
      open.delete(exchange)
      if (!record) return
      metrics.closed(record)
      if (isOfStranger(record) && !hasRoomForStranger()) return
      try {
        exchangeLog.append(record)
      } catch (error) {
        // An exception here would end the process, and with it everybody else's answers.
        reply.log.error(error, 'an exchange could not be logged')
      }
    })
    done()
  })

  // Before validation, so that the row of a refused request says what was asked.
  app.addHook('preValidation', (request, _reply, done) => {
    const { body, exchange } = request
    if (exchange && isJsonObject(body)) {
      const { model, messages, prompt, input, ...parameters } = body
      exchange.asked({
        requestedModel: typeof model === 'string' ? model.slice(0, MAX_MODEL_CHARACTERS) : null,
        prompt: messages ?? prompt ?? input ?? null,
        parameters,
        streamed: parameters['stream'] === true,
      })
    }
    done()
  })
}

/** Whoever it was holds nothing that is known to be valid. (Nobody is asked for a key while the server drains.) */
function isOfStranger({ status, errorCode }: ExchangeRecord): boolean {
  return status === 401 || errorCode === 'key_check_unavailable'
}

/** Files and forms are no parameters: they are never logged. */
function isJsonObject(body: unknown): body is Record<string, unknown> {
  return (
    typeof body === 'object' && body !== null && Object.getPrototypeOf(body) === Object.prototype
  )
}
