// /admin/engines…: which versions are loaded where, and loading and unloading them by hand.

import { Type } from 'typebox'

import { listEngines, loadByHand, unloadByHand } from '../administration/engines.ts'
import { EngineList, engineListBody } from '../dialects/admin/engine.ts'
import { ErrorBody } from '../dialects/openai/error.ts'
import { GatewayError } from '../errors.ts'
import { actorOf, requireRole } from '../plugins/roles.ts'
import type { FastifyRequest } from 'fastify'
import type { EngineAdministration } from '../administration/engines.ts'
import type { Pool } from '../db/pool.ts'
import type { App } from '../request.ts'

export interface AdminEngineDeps {
  pool: Pool
  /** null: there is no runtime */
  engines: Pick<EngineAdministration, 'residency' | 'versions'> | null
}

const tags = ['engines']
const security = [{ key: [] }]
const version = Type.String({ minLength: 1, maxLength: 256 })
const LoadedBody = Type.Object({
  object: Type.Unsafe<'engine.loaded' | 'engine.loading'>({
    type: 'string',
    enum: ['engine.loaded', 'engine.loading'],
  }),
  version: Type.String(),
  detail: Type.String({ description: 'How far it is, in words.' }),
})
const closed = { additionalProperties: false }

/** what a proxy between lets a request take, more or less; whoever asks again goes on waiting */
const DEFAULT_WAIT_S = 50
const MAX_WAIT_S = 600

export function adminEngineRoutes(app: App, { pool, engines }: AdminEngineDeps) {
  const onRequest = requireRole('admin')
  const depsOf = (request: FastifyRequest): EngineAdministration => {
    if (engines) return { pool, ...engines, actor: actorOf(request) }
    const message = 'This gateway has no runtime: upstreams alone answer here.'
    throw new GatewayError('runtime_unreachable', message)
  }

  app.get(
    '/admin/engines',
    {
      onRequest: requireRole('developer'),
      schema: {
        operationId: 'listEngines',
        summary: 'List the runtimes and the versions that are loaded on them',
        tags,
        security,
        response: { 200: EngineList, default: ErrorBody },
      },
    },
    async () => engineListBody(await listEngines(engines?.residency ?? null)),
  )

  app.post(
    '/admin/engines/load',
    {
      onRequest,
      schema: {
        operationId: 'loadEngine',
        summary: 'Load a version, on every runtime that has room for it',
        description:
          'Answers 200 when it is ready on one at least. Where that takes longer than `wait_seconds` the answer is 202, and ' +
          'the load goes on; whoever asks again waits on. Where there is no room it is 503 `insufficient_memory`, in figures.',
        tags,
        security,
        body: Type.Object(
          {
            version,
            wait_seconds: Type.Optional(Type.Number({ minimum: 0, maximum: MAX_WAIT_S })),
          },
          closed,
        ),
        response: {
          200: LoadedBody,
          202: LoadedBody,
          default: ErrorBody,
        },
      },
    },
    async (request, reply) => {
      const { version: name, wait_seconds: seconds = DEFAULT_WAIT_S } = request.body
      const loaded = await loadByHand(depsOf(request), name, seconds * 1000)
      const { version: id, isReady, detail } = loaded
      const object = isReady ? ('engine.loaded' as const) : ('engine.loading' as const)
      return reply.code(isReady ? 200 : 202).send({ object, version: id, detail })
    },
  )

  app.post(
    '/admin/engines/unload',
    {
      onRequest,
      schema: {
        operationId: 'unloadEngine',
        summary: 'Unload a version everywhere; its requests finish first',
        tags,
        security,
        body: Type.Object(
          {
            version,
            force: Type.Optional(
              Type.Boolean({ description: 'Also where it is live, kept warm or at work.' }),
            ),
          },
          closed,
        ),
        response: {
          200: Type.Object({
            object: Type.Literal('engine.unloaded'),
            version: Type.String(),
            was_loaded: Type.Boolean(),
            wanted: Type.Boolean({ description: 'It comes back by itself.' }),
          }),
          default: ErrorBody,
        },
      },
    },
    async (request) => {
      const { version: id, force = false } = request.body
      const { wasLoaded, isWanted } = await unloadByHand(depsOf(request), id, force)
      return {
        object: 'engine.unloaded' as const,
        version: id,
        was_loaded: wasLoaded,
        wanted: isWanted,
      }
    },
  )
}
