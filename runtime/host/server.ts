// The runtime's HTTP: routes of protocol.ts on node:http, nothing else.
//
// Answers are 200 with NDJSON, and what goes wrong with them is an `error` line; only requests that should not have been
// sent get another status.
//
// Knows: routes, bodies, tokens, statuses. Does not know: engines beyond the host's verbs, where it listens.

import { createHash, timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'

import { HEARTBEAT_MS } from '../protocol.ts'
import { AnswerStream } from './answer-stream.ts'
import { CONTENT_TYPE, HostMetrics } from './metrics.ts'
import { Refusal } from './refusal.ts'
import { readJson } from './request-body.ts'
import { createRequestShapes } from './request-shapes.ts'
import type { EngineEvent } from '../engine/messages.ts'
import type { ErrorBody, LoadEvent } from '../protocol.ts'
import type { Logger } from '../logger.ts'
import type { Host } from './host.ts'

interface RuntimeServerOptions {
  host: Pick<Host, 'answer' | 'load' | 'unload' | 'want' | 'fit' | 'stats'>
  /** what callers have to send as bearer token; null lets everybody in who can connect */
  token: string | null
  logger: Logger
}

type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void> | void

/** starts something that tells its events, and returns what ends it early */
type Source<T> = (listener: (event: T) => void) => () => void

// Longer than the pause between two requests of a gateway that has any traffic; a connection costs one descriptor.
const KEEP_ALIVE_MS = 65_000

export function createRuntimeServer({ host, token, logger }: RuntimeServerOptions): Server {
  const shapes = createRequestShapes()
  const answers = new Set<AnswerStream>()
  const metrics = new HostMetrics()
  const isAllowed = token === null ? () => true : bearerCheck(token)

  function answer<T extends EngineEvent | LoadEvent>(response: ServerResponse, source: Source<T>) {
    let stop: (() => void) | null = null
    let isAbandoned = false
    const stream = new AnswerStream(response, () => {
      isAbandoned = true
      stop?.()
    })
    answers.add(stream)
    response.on('close', () => answers.delete(stream))
    stop = source((event) => stream.push(event))
    // The source's very first events may have been too much already.
    if (isAbandoned) stop()
  }

  const routes: Record<string, Handler> = {
    'POST /generate': async (request, response) => {
      const asked = shapes.toGenerateRequest(await readJson(request))
      answer<EngineEvent>(response, (listener) => host.answer(asked, listener))
    },
    'POST /encode': async (request, response) => {
      const asked = shapes.toEncodeRequest(await readJson(request))
      answer<EngineEvent>(response, (listener) => host.answer(asked, listener))
    },
    'POST /versions/load': async (request, response) => {
      const asked = shapes.toLoadRequest(await readJson(request))
      answer<LoadEvent>(response, (listener) => host.load(asked, listener))
    },
    'POST /versions/unload': async (request, response) => {
      await host.unload(shapes.toVersion(await readJson(request)).version)
      response.writeHead(204).end()
    },
    'POST /versions/want': async (request, response) => {
      host.want(shapes.toWantRequest(await readJson(request)))
      response.writeHead(204).end()
    },
    'POST /versions/fit': async (request, response) => {
      const fit = await host.fit(shapes.toVersion(await readJson(request)).version)
      if ('code' in fit) sendJson(response, 404, { error: fit } satisfies ErrorBody)
      else sendJson(response, 200, fit)
    },
    'GET /stats': async (_request, response) => sendJson(response, 200, await host.stats()),
    'GET /metrics': async (_request, response) => {
      const text = metrics.render(await host.stats())
      response.writeHead(200, { 'content-type': CONTENT_TYPE }).end(text)
    },
    'GET /healthz': (_request, response) => sendJson(response, 200, { status: 'ok' }),
  }
  const paths = new Set(Object.keys(routes).map((route) => route.split(' ')[1]))

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url?.split('?', 1)[0] ?? '/'
    try {
      // Probes have no token, and learn nothing.
      if (path !== '/healthz' && !isAllowed(request)) {
        throw new Refusal(401, "The request has no bearer token, or not this runtime's.")
      }
      const handler = routes[`${request.method} ${path}`]
      if (handler) await handler(request, response)
      else if (paths.has(path)) throw new Refusal(405, `${path} does not take ${request.method}.`)
      else throw new Refusal(404, `There is no ${request.method} ${path}.`)
    } catch (error) {
      refuse(request, response, error)
    }
  }

  function refuse(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    // Whoever left while sending does not wait for an answer.
    if (response.destroyed) return
    if (response.headersSent) {
      logger.error({ err: error, url: request.url }, 'an answer broke')
      response.destroy()
      return
    }
    if (!request.complete) response.setHeader('connection', 'close')
    if (error instanceof Refusal) {
      const { code, message } = error
      return sendJson(response, error.status, { error: { code, message } } satisfies ErrorBody)
    }
    logger.error({ err: error, url: request.url }, 'a request failed')
    const message = 'The runtime had an internal error; its log says which.'
    sendJson(response, 500, { error: { code: 'internal', message } } satisfies ErrorBody)
  }

  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
    response.sendDate = false
    void handle(request, response)
  })
  const heartbeat = setInterval(() => {
    for (const stream of answers) stream.beat()
  }, HEARTBEAT_MS)
  heartbeat.unref()
  server.on('close', () => {
    clearInterval(heartbeat)
    metrics.close()
  })
  return server
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

/** Compares hashes, which are of one length: neither length nor prefix of the token can be told from the time it takes. */
function bearerCheck(token: string): (request: IncomingMessage) => boolean {
  const hash = (text: string) => createHash('sha256').update(text).digest()
  const expected = hash(`Bearer ${token}`)
  return (request) => timingSafeEqual(hash(request.headers.authorization ?? ''), expected)
}
