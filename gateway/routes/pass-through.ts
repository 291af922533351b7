// The rest of OpenAI's API, for upstreams that have it: images, audio, moderations, files, uploads and batches.
//
// Requests go on as they came, but for the model's name, which is the upstream's own there. Which target gets one says
// its model, in JSON or in a field of a form; what names none goes to the upstream that is set for it. Paths are the ones
// of this list and no others. What a caller uploads lies in an account that all callers share, so whatever reads or
// spends from there is for developers.
//
// Answers flow through as they come. One that breaks off ends the connection: there is no other way to say so in the
// middle of a picture.

import { Readable } from 'node:stream'

import { Type } from 'typebox'

import { mayAsk } from '../callers/caller.ts'
import { ErrorBody } from '../dialects/openai/error.ts'
import { findField, replaceField } from '../dialects/openai/form.ts'
import { GatewayError, internalError } from '../errors.ts'
import { reserve } from '../reserve.ts'
import { findRoute } from '../routing/find-route.ts'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { PassedRequest } from '../backends/backend.ts'
import type { Exchange } from '../exchange.ts'
import type { Limits } from '../limits/limits.ts'
import type { App } from '../request.ts'
import type { Routes, Target } from '../routing/route.ts'

export interface PassDeps {
  routes: Routes
  limits: Limits
  /** who takes what names no model; null: nobody */
  defaultTarget: () => Target | null
}

/** how a body comes, and with it where the model is named */
type BodyKind = 'json' | 'form' | 'upload' | 'none'

interface PassedRoute {
  method: 'GET' | 'POST' | 'DELETE'
  path: string
  body: BodyKind
  /** reads or spends from an account that callers share */
  isShared?: true
}

const json = (path: string): PassedRoute => ({ method: 'POST', path, body: 'json' })
const form = (path: string): PassedRoute => ({ method: 'POST', path, body: 'form' })
const shared = (
  method: PassedRoute['method'],
  path: string,
  body: BodyKind = 'none',
): PassedRoute => ({ method, path, body, isShared: true })

const PASSED: PassedRoute[] = [
  json('/images/generations'),
  form('/images/edits'),
  form('/images/variations'),
  json('/audio/speech'),
  form('/audio/transcriptions'),
  form('/audio/translations'),
  json('/moderations'),
  shared('GET', '/files'),
  shared('POST', '/files', 'upload'),
  shared('GET', '/files/:id'),
  shared('DELETE', '/files/:id'),
  shared('GET', '/files/:id/content'),
  shared('POST', '/uploads', 'json'),
  shared('POST', '/uploads/:id/parts', 'upload'),
  shared('POST', '/uploads/:id/complete', 'json'),
  shared('POST', '/uploads/:id/cancel'),
  shared('GET', '/batches'),
  shared('POST', '/batches', 'json'),
  shared('GET', '/batches/:id'),
  shared('POST', '/batches/:id/cancel'),
]

/** A recording or some pictures: what has to be held to find the model in it. OpenAI takes 25 MB of audio. */
const MAX_FORM_BYTES = 64 * 1024 * 1024
const Params = Type.Object({ id: Type.Optional(Type.String({ pattern: '^[\\w-]{1,128}$' })) })

export function passThroughRoutes(app: App, deps: PassDeps) {
  // One scope for each way in which a body is taken in.
  for (const kind of ['json', 'form', 'upload', 'none'] as const) {
    app.register((scope: App, _options, done) => {
      if (kind === 'form') takeForms(scope)
      if (kind === 'upload' || kind === 'none') takeAsItComes(scope)
      for (const route of PASSED) if (route.body === kind) add(scope, route, deps)
      done()
    })
  }
}

function takeForms(app: App) {
  const options = { parseAs: 'buffer', bodyLimit: MAX_FORM_BYTES } as const
  app.addContentTypeParser('multipart/form-data', options, (_request, body, done) =>
    done(null, body),
  )
}

function takeAsItComes(app: App) {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
}

function add(app: App, route: PassedRoute, deps: PassDeps) {
  app.route({
    method: route.method,
    url: `/v1${route.path}`,
    schema: {
      summary: 'Passed on to an upstream',
      tags: ['passed on'],
      params: Params,
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

  const { model, bodyFor } = readBody(request, route.body)
  const { name, target } = await findTarget(request, route, model, deps)
  if (route.body === 'form') {
    exchange.asked({ requestedModel: model, prompt: null, parameters: null, streamed: false })
  }
  if (!target.backend.pass) throw new Error('A target that passes nothing on. This is a bug.')
  // Its tokens are nobody's to count, but it is a request.
  const need = { model: name, promptTokens: () => 0, maxTokens: 0, price: null }
  await reserve(request, reply, deps.limits, need)
  exchange.signal.throwIfAborted()
  exchange.asking(name, target)

  const startedMs = performance.now()
  const { version, upstream } = target
  const attempted = (error: GatewayError | null) => {
    const ms = performance.now() - startedMs
    const [code, detail] = error ? [error.code, error.detail] : [null, null]
    exchange.attempted({ version, upstream, ms, error: code, detail })
  }
  const asks = model === null ? null : target.asks
  const passed = await target.backend
    .pass(passedRequest(request, route, bodyFor(asks)), asks, exchange.signal)
    .catch((error: unknown) => {
      if (error instanceof GatewayError) attempted(error)
      throw error
    })
  attempted(null)
  if (passed.refusal !== null) {
    exchange.failed(new GatewayError('invalid_request', passed.refusal.slice(0, 500)))
  }
  reply.code(passed.status).headers({
    ...passed.headers,
    'x-headrace-version': version,
    'x-headrace-target': upstream,
    'x-headrace-attempts': exchange.attempts.length,
    'x-headrace-overhead-ms': exchange.began().toFixed(1),
  })
  const body = Readable.from(watched(passed.body, exchange), { objectMode: false })
  return reply.send(body)
}

/** Whoever reads the log shall see why an answer broke off, and not just that it did. */
async function* watched(body: AsyncIterable<Buffer>, exchange: Exchange) {
  try {
    yield* body
  } catch (error) {
    exchange.failed(error instanceof GatewayError ? error : internalError(error))
    throw error
  }
}

function refuseStrangers({ caller }: FastifyRequest) {
  if (caller && caller.role !== 'caller') return
  throw new GatewayError(
    'insufficient_role',
    'Files, uploads and batches lie in an account that callers share: they are for keys of the roles "developer" and "admin".',
  )
}

interface ReadBody {
  /** as the client named it */
  model: string | null
  /** @param asks the model's name at the upstream */
  bodyFor(asks: string | null): PassedRequest['body']
}

function readBody({ body, headers }: FastifyRequest, kind: BodyKind): ReadBody {
  if (kind === 'upload') return { model: null, bodyFor: () => body as Readable }
  if (kind === 'none') return { model: null, bodyFor: () => null }
  if (kind === 'json') {
    if (body === undefined || body === null) return { model: null, bodyFor: () => null }
    const { model, ...others } = body as Record<string, unknown>
    const isNamed = typeof model === 'string' && model !== ''
    return {
      model: isNamed ? model : null,
      bodyFor: (asks) =>
        Buffer.from(JSON.stringify(asks === null ? body : { ...others, model: asks })),
    }
  }
  if (!Buffer.isBuffer(body)) {
    throw new GatewayError(
      'unsupported_media_type',
      'The request body must be a form, with the header content-type: multipart/form-data.',
    )
  }
  const field = findField(body, headers['content-type'] ?? '', 'model')
  return {
    model: field?.value || null,
    bodyFor: (asks) =>
      field && asks !== null && asks !== field.value ? replaceField(body, field, asks) : body,
  }
}

async function findTarget(
  { caller }: FastifyRequest,
  { path, isShared }: PassedRoute,
  model: string | null,
  { routes, defaultTarget }: PassDeps,
): Promise<{ name: string; target: Target }> {
  if (model !== null) {
    const isAllowed = (name: string) => caller !== null && mayAsk(caller, name)
    const route = await findRoute(routes, model, isAllowed)
    const targets = [...route.targets.filter(({ weight }) => weight > 0), ...route.fallbacks]
    const target = targets.find(({ backend }) => backend.pass)
    if (target) return { name: route.model, target }
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
  if (target?.backend.pass) return { name: target.asks, target }
  throw new GatewayError(
    'unknown_url',
    `No upstream is set for /v1${path} without a model on this server.`,
  )
}

function passedRequest(
  { method, headers, params, url }: FastifyRequest,
  { path }: PassedRoute,
  body: PassedRequest['body'],
): PassedRequest {
  const { id = '' } = params as { id?: string }
  const [, query = ''] = url.split('?', 2)
  const given: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value === 'string') given[name] = value
  }
  return { method, path: path.replace(':id', id), query, headers: given, body }
}
