// GET /admin/exchanges/tail: exchanges as they are written, as server-sent events, while the client listens.
//
// Tables are polled: several gateways write, and what waited in a spool comes late. A client that reads too slowly holds
// its own polls back, and nobody else's.

import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

import { Type } from 'typebox'

import { readerFor } from '../administration/exchanges.ts'
import { Tail } from '../administration/tail.ts'
import { exchangeBody } from '../dialects/admin/exchange.ts'
import { FILTER_QUERY, readFilter } from '../dialects/admin/exchange-query.ts'
import { isAway } from '../db/away.ts'
import { ErrorBody } from '../dialects/openai/error.ts'
import { GatewayError } from '../errors.ts'
import { actorOf, callerOf, requireRole } from '../plugins/roles.ts'
import type { Query } from '../dialects/admin/exchange-query.ts'
import type { Pool } from '../db/pool.ts'
import type { Pseudonyms } from '../privacy/pseudonyms.ts'
import type { Readiness } from '../process/readiness.ts'
import type { App } from '../request.ts'

/** Soon enough for whoever watches, and a few queries a second for the database. */
const POLL_MS = 400
/** Proxies give a silent connection up after a minute, or half of one. */
const HEARTBEAT_MS = 15_000
/** Each polls for itself. */
const MAX_TAILS = 20

const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache',
  // nginx would otherwise collect the events
  'x-accel-buffering': 'no',
}

export interface TailDeps {
  pool: Pool
  pseudonyms: Pseudonyms
  readiness: Pick<Readiness, 'isDraining'>
}

export function adminExchangeTailRoute(app: App, { pool, pseudonyms, readiness }: TailDeps) {
  let open = 0

  app.get(
    '/admin/exchanges/tail',
    {
      onRequest: requireRole('developer'),
      schema: {
        operationId: 'tailExchanges',
        summary: 'Watch exchanges that meet a filter as they are written, as server-sent events',
        description:
          'Each event is an exchange without texts, as the list has it; its id is that of the exchange.',
        tags: ['exchanges'],
        security: [{ key: [] }],
        querystring: Type.Object(FILTER_QUERY),
        response: {
          200: {
            description: 'Events, for as long as the client stays.',
            content: { 'text/event-stream': { schema: Type.String() } },
          },
          default: ErrorBody,
        },
      },
    },
    async (request, reply) => {
      const filter = readFilter(request.query as Query)
      if (open >= MAX_TAILS) {
        const message = `${MAX_TAILS} clients watch the exchange log already; each costs the database queries.`
        throw new GatewayError('too_many_tails', message, { retryAfterSeconds: 30 })
      }
      open++
      try {
        const reader = readerFor(callerOf(request), { actor: actorOf(request), pseudonyms })
        const tail = await Tail.open(pool, reader, filter)
        const { raw } = reply.hijack()
        const gone = new AbortController()
        raw.once('close', () => gone.abort())
        raw.writeHead(200, { ...HEADERS, 'x-request-id': request.id })
        raw.write(': exchanges from now on\n\n')
        await follow(tail, (text) => tell(raw, text, gone.signal), {
          isOver: () => gone.signal.aborted || readiness.isDraining,
          signal: gone.signal,
        })
        raw.end()
      } finally {
        open--
      }
      return reply
    },
  )
}

interface Following {
  isOver: () => boolean
  signal: AbortSignal
}

async function follow(
  tail: Tail,
  write: (text: string) => Promise<void>,
  { isOver, signal }: Following,
): Promise<void> {
  let spokeMs = performance.now()
  while (!isOver()) {
    let hasMore = false
    try {
      const next = await tail.next()
      hasMore = next.hasMore
      for (const row of next.rows) {
        await write(
          `id: ${row.id}\nevent: exchange\ndata: ${JSON.stringify(exchangeBody(row))}\n\n`,
        )
      }
      if (next.rows.length > 0) spokeMs = performance.now()
    } catch (error) {
      if (signal.aborted) return
      // A database that comes back is gone on with; what else goes wrong ends the stream, and the client asks again.
      if (!isAway(error)) return
    }
    if (performance.now() - spokeMs > HEARTBEAT_MS) {
      await write(': still here\n\n').catch(() => {})
      spokeMs = performance.now()
    }
    if (!hasMore) await sleep(POLL_MS, undefined, { signal }).catch(() => {})
  }
}

/** Waits where the client reads too slowly. */
async function tell(raw: NodeJS.WritableStream, text: string, signal: AbortSignal): Promise<void> {
  if (!raw.write(text)) await once(raw, 'drain', { signal })
}
