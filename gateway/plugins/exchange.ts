// Opens an Exchange for each request of the routes it is given to, and closes it when the socket does.
//
// An exchange ends when the last bytes of its answer are about to be sent: then its metrics are observed and its record
// is handed to the log, so that no client has an answer that the log doesn't know. Where that point is never reached it
// ends with the response's `close`, which comes when a client leaves, wherever the request then is. (onResponse does not
// run when a client hangs up in the middle of a stream.)

import { GatewayError } from '../errors.ts'
import { Exchange } from '../exchange/exchange.ts'
import { Strangers } from '../exchange-log/strangers.ts'
import { readAsked } from './asked.ts'
import type { RecentExchanges } from '../feedback/recent-exchanges.ts'
import type { ExchangeRecord } from '../exchange/exchange-record.ts'
import type { Metrics } from '../metrics/metrics.ts'
import type { Privacy } from '../privacy/privacy.ts'
import type { Traces } from '../traces/traces.ts'
import type { App } from '../request.ts'

export interface ExchangeLog {
  readonly hasRoom: boolean
  append(record: ExchangeRecord, kept: () => void): void
}

export interface ExchangeDeps {
  exchangeLog: ExchangeLog
  /** what of a record may be kept */
  privacy: Pick<Privacy, 'kept'>
  recent: Pick<RecentExchanges, 'remember'>
  metrics: Metrics
  /** null: requests are not traced */
  traces: Traces | null
  /** those that have not closed */
  open: Set<Exchange>
  /** milliseconds since 1970, monotonic */
  now: () => number
}

export function recordExchanges(app: App, deps: ExchangeDeps) {
  const { exchangeLog, privacy, recent, metrics, traces, open, now } = deps
  const onDropped = metrics.strangerDropped.bind(metrics)
  const strangers = new Strangers({ logger: app.log, onDropped, now })

  app.addHook('onRequest', (request, reply, done) => {
    const route = request.routeOptions.url ?? request.url
    const exchange = new Exchange(request.id, request.method, route, now, (record, kept) => {
      open.delete(exchange)
      metrics.closed(record)
      if (isOfStranger(record) && !strangers.hasRoom()) return kept()
      try {
        // The last place where all of the texts are there: what comes after it writes what it is given.
        const keepable = privacy.kept(record, exchange.bodies)
        recent.remember(keepable)
        exchangeLog.append(keepable, kept)
      } catch (error) {
        // An exception here would end the process, and with it everybody else's answers.
        reply.log.error(error, 'an exchange could not be logged')
        kept()
      }
    })
    if (traces) {
      const { method, headers } = request
      const { startedMs } = exchange
      exchange.tracedBy(traces.begin({ method, route, headers, startedMs }))
    }
    request.exchange = exchange
    open.add(exchange)
    metrics.opened()
    const { raw } = reply
    raw.once('close', () => {
      exchange.close(raw.headersSent ? raw.statusCode : null, raw.writableFinished)
    })
    done()
  })

  // What is sent as a stream ends later, and whoever sends it says when.
  app.addHook('onSend', (request, reply, payload, done) => {
    const isWhole = typeof payload === 'string' || Buffer.isBuffer(payload)
    if (isWhole && request.exchange) request.exchange.close(reply.statusCode, true, done)
    else done()
  })

  app.addHook('preValidation', (request, _reply, done) => {
    const asked = request.exchange && readAsked(request)
    if (asked) request.exchange?.asked(asked)
    done()
  })
}

/** For operators who must not answer what they can't account for. */
export function refuseUnlogged(app: App, exchangeLog: Pick<ExchangeLog, 'hasRoom'>) {
  app.addHook('onRequest', (_request, _reply, done) => {
    if (exchangeLog.hasRoom) return done()
    done(new GatewayError('log_full', FULL))
  })
}

const FULL =
  'There is no room to log this request at the moment, and this server answers nothing that it can not log. Try again shortly.'

/** Whoever it was holds nothing that is known to be valid. (Nobody is asked for a key while the server drains.) */
function isOfStranger({ status, errorCode }: ExchangeRecord): boolean {
  return status === 401 || errorCode === 'key_check_unavailable'
}
