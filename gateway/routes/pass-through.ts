// The rest of OpenAI's API, for upstreams that have it: images, audio, moderations, files, uploads and batches.
//
// Requests go on as they came, but for the model's name, which is the upstream's own there. Which target gets one says
// its model, in JSON or in a field of a form; what names none goes to the upstream that is set for it. Paths are the ones
// of this list and no others. What a caller uploads lies in an account that all callers share, so whatever reads or
// spends from there is for developers.
//
// A connection that is refused before anything was sent is tried once more; nothing else is, as nobody knows what an upload
// or a picture that broke off has left behind there. Answers flow through as they come. One that breaks off ends the connection: there is no other way to say so in the
// middle of a picture.

import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'

import { Type } from 'typebox'

import { mayAsk } from '../callers/caller.ts'
import { ErrorBody } from '../dialects/openai/error.ts'
import { GatewayError, internalError } from '../errors.ts'
import { readBody } from '../passing/body.ts'
import { PASSED_ROUTES } from '../passing/passed-routes.ts'
import { tellErrors } from '../plugins/errors.ts'
import { reserve } from '../answering/reserve.ts'
import { chosenFor } from '../routing/chosen-for.ts'
import { findRoute } from '../routing/find-route.ts'
import { TimeLimits } from '../routing/time-limits.ts'
import { stickyKeyOf } from '../answering/sticky-key.ts'
import { targetHeaders } from '../answering/target-headers.ts'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { PassedAnswer, PassedRequest } from '../backends/backend.ts'
import type { Exchange } from '../exchange/exchange.ts'
import type { Limits } from '../limits/limits.ts'
import type { PassedBody, PassedRoute } from '../passing/passed-routes.ts'
import type { App } from '../request.ts'
import type { Routes, Target } from '../routing/route.ts'

export interface PassDeps {
  routes: Routes
  limits: Limits
  /** who takes what names no model; null: nobody */
  defaultTarget: () => Target | null
  /** of files and parts of files */
  uploadLimitBytes: number
}

/** for whoever refused a connection to be there again, as a server that is started anew */
const PAUSE_MS = 250
/** A recording or some pictures: what has to be held to find the model in it. OpenAI takes 25 MB of audio. */
const MAX_FORM_BYTES = 64 * 1024 * 1024
const Params = Type.Object({ id: Type.String({ pattern: '^[\\w-]{1,128}$' }) })

const AS_SENT = Type.Unknown({ description: "As the upstream takes it; of 'model' its name here." })

const MEDIA: Record<PassedBody, string> = {
  json: 'application/json',
  form: 'multipart/form-data',
  upload: 'multipart/form-data',
}

export function passThroughRoutes(app: App, deps: PassDeps) {
  // One scope for each way in which a body is taken in.
  for (const kind of ['json', 'form', 'upload', 'none'] as const) {
    app.register((scope: App, _options, done) => {
      if (kind === 'form') takeForms(scope, Math.min(MAX_FORM_BYTES, deps.uploadLimitBytes))
      if (kind === 'upload' || kind === 'none') takeAsItComes(scope)
      for (const route of PASSED_ROUTES) if (route.body === kind) add(scope, route, deps)
      done()
    })
  }
}

function takeForms(app: App, bodyLimit: number) {
  tellErrors(app, { bodyLimitBytes: bodyLimit })
  const options = { parseAs: 'buffer', bodyLimit } as const
  app.addContentTypeParser('multipart/form-data', options, (_request, body, done) =>
    done(null, body),
  )
}

function takeAsItComes(app: App) {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
}

function add(app: App, route: PassedRoute, deps: PassDeps) {
  const { body, isShared, method, operationId, path } = route
  app.route({
    method,
    url: `/v1${path}`,
    schema: {
      operationId,
      summary: isShared
        ? 'Passed on to the default upstream; for the roles developer and admin'
        : 'Passed on to the upstream that has the model',
      tags: ['passed on'],
      ...(path.includes(':id') && { params: Params }),
      ...(body !== 'none' && { body: { content: { [MEDIA[body]]: { schema: AS_SENT } } } }),
      response: { 200: Type.Unknown({ description: "The upstream's own." }), default: ErrorBody },
    },
    handler: (request, reply) => passOn(request, reply, route, deps),
  })
}

async function passOn(
  request: FastifyRequest,
  reply: FastifyReply,
  route: PassedRoute,
  deps: PassDeps,
): Promise<unknown> {
  const { exchange } = request
  if (!exchange) throw new Error('A route that is passed on has no exchange. This is a bug.')
  if (route.isShared) refuseStrangers(request)

  const tooLarge = new AbortController()
  let limits: TimeLimits | null = null
  const body = readBody(request, route.body, {
    maxBytes: deps.uploadLimitBytes,
    onPiece: () => limits?.asking(),
    onTooLarge: (error) => tooLarge.abort(error),
  })
  const { name, targets } = await findTargets(request, route, body.model, deps)
  if (route.body === 'form') {
    exchange.asked({ requestedModel: body.model, prompt: null, parameters: null, streamed: false })
  }
  // Its tokens are nobody's to count, but it is a request.
  const need = { model: name, promptTokens: () => 0, maxTokens: 0, price: null }
  await reserve(request, reply, deps.limits, need)
  exchange.signal.throwIfAborted()

  const outer = AbortSignal.any([exchange.signal, tooLarge.signal])
  const ask = async (target: Target) => {
    const traceHeaders = exchange.asking(name, target)
    const { version, upstream, timeouts, backend } = target
    const startedMs = performance.now()
    const attempted = (error: GatewayError | null) => {
      const ms = performance.now() - startedMs
      const [code, detail] = error ? [error.code, error.detail] : [null, null]
      exchange.attempted({ version, upstream, ms, error: code, detail })
    }
    if (!backend.pass) throw new Error('A target that passes nothing on. This is a bug.')
    // What comes whole may take its time for the first byte: a picture is drawn before it is sent.
    const { stallMs, totalMs } = timeouts
    const attempt = (limits = new TimeLimits({ stallMs, totalMs }, outer))
    const asks = body.model === null ? null : target.asks
    try {
      const passed = passedRequest(request, route, body.bodyFor(asks), traceHeaders)
      const answer = await backend.pass(passed, asks, attempt.signal)
      attempted(null)
      return { answer, attempt, target }
    } catch (error) {
      attempt.close()
      if (error instanceof GatewayError) attempted(error)
      throw error
    }
  }
  const [first, second = first] = targets
  const { answer, attempt, target } = await ask(first)
    .catch(async (error: unknown) => {
      const isRefused = error instanceof GatewayError && error.code === 'upstream_unreachable'
      if (!isRefused || body.upload?.hasBegun) throw error
      if (second === first) await sleep(PAUSE_MS, undefined, { signal: exchange.signal })
      return ask(second)
    })
    .catch((error: unknown) => {
      body.upload?.drop()
      throw error
    })

  if (answer.refusal !== null) {
    exchange.failed(new GatewayError('invalid_request', answer.refusal.slice(0, 500)))
  }
  reply.code(answer.status).headers({
    ...answer.headers,
    ...targetHeaders(target, exchange.attempts.length),
    'x-headrace-overhead-ms': exchange.began().toFixed(1),
  })
  const onOver = () => {
    attempt.close()
    // An upstream may answer before it has read all; its client has to be able to read that.
    body.upload?.drop()
  }
  const bytes = watched(answer, exchange, attempt, onOver)
  return reply.send(Readable.from(bytes, { objectMode: false }))
}

/**
 * Whoever reads the log shall see why an answer broke off, and not just that it did; and no client shall have a whole
 * answer that the log doesn't know. So the exchange closes before the last bytes: those that make up the length that was
 * announced, or the end itself where none was.
 */
async function* watched(
  { status, headers, body }: PassedAnswer,
  exchange: Exchange,
  limits: TimeLimits,
  onOver: () => void,
) {
  const close = () => new Promise<void>((kept) => exchange.close(status, true, kept))
  const announced = Number(headers['content-length'] ?? Infinity)
  let told = 0
  try {
    for await (const bytes of body) {
      limits.progressed()
      told += bytes.length
      if (told >= announced) await close()
      limits.hold()
      yield bytes
      limits.release()
    }
    await close()
  } catch (error) {
    exchange.failed(error instanceof GatewayError ? error : internalError(error))
    throw error
  } finally {
    onOver()
  }
}

function refuseStrangers({ caller }: FastifyRequest) {
  if (caller && caller.role !== 'caller') return
  throw new GatewayError(
    'insufficient_role',
    'Files, uploads and batches lie in an account that callers share: they are for keys of the roles "developer" and "admin".',
  )
}

/** Who may take it, the first choice first; what names no model has one. */
async function findTargets(
  request: FastifyRequest,
  { path, isShared }: PassedRoute,
  model: string | null,
  { routes, defaultTarget }: PassDeps,
): Promise<{ name: string; targets: [Target, ...Target[]] }> {
  const { caller } = request
  if (model !== null) {
    const isAllowed = (name: string) => caller !== null && mayAsk(caller, name)
    const found = await findRoute(routes, model, isAllowed)
    const route = chosenFor(found, stickyKeyOf(request, found))
    const all = [...route.targets.filter(({ weight }) => weight > 0), ...route.fallbacks]
    const [first, ...others] = all.filter(({ backend }) => backend.pass)
    if (first) return { name: route.model, targets: [first, ...others] }
    throw new GatewayError('invalid_value', `The model '${model}' does not take /v1${path}.`, {
      param: 'model',
    })
  }
  // A key that is for some models only must say which it means.
  if (!isShared && caller?.allowedModels) {
    throw new GatewayError(
      'missing_required_parameter',
      "Missing required parameter: 'model' (this key is for some models only).",
      { param: 'model' },
    )
  }
  const target = defaultTarget()
  if (target?.backend.pass) return { name: target.asks, targets: [target] }
  throw new GatewayError(
    'unknown_url',
    `/v1${path} names no model here, and headrace.yaml no 'default_upstream' that it could go to.`,
  )
}

function passedRequest(
  { method, headers, params, url }: FastifyRequest,
  { path }: PassedRoute,
  body: PassedRequest['body'],
  traceHeaders: Record<string, string> = {},
): PassedRequest {
  const { id = '' } = params as { id?: string }
  const [, query = ''] = url.split('?', 2)
  const given: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value === 'string') given[name] = value
  }
  return {
    method,
    path: path.replace(':id', id),
    query,
    headers: { ...given, ...traceHeaders },
    body,
  }
}
