// What is declared, for administrators: upstreams and models to read, make, change and delete, and how the file is doing.

import { Type } from 'typebox'
import type { TSchema } from 'typebox'

import { Model, Upstream } from '../declared/schema.ts'
import { ErrorBody } from '../dialects/openai/error.ts'
import { actorOf, requireRole } from '../plugins/roles.ts'
import type { Actor } from '../db/audit.ts'
import type { ConfigFileState } from '../declared/config-file.ts'
import type { ModelAdministration } from '../declared/model-administration.ts'
import type { StoredState } from '../declared/stored-declarations.ts'
import type { UpstreamAdministration } from '../declared/upstream-administration.ts'
import type { App } from '../request.ts'

export interface DeclaredDeps {
  upstreams: UpstreamAdministration
  models: ModelAdministration
  /** null where there is no file */
  fileState: () => ConfigFileState | null
  storedState: () => StoredState
}

interface Administration {
  list(): Promise<object[]>
  find(name: string): Promise<object>
  put(name: string, body: unknown, actor: Actor): Promise<object>
  remove(name: string, actor: Actor): Promise<void>
}

const tags = ['declarations']
const security = [{ key: [] }]
const Params = Type.Object({ name: Type.String({ minLength: 1, maxLength: 256 }) })
const Shown = Type.Object({
  name: Type.String(),
  source: Type.Unsafe<'file' | 'api'>({ type: 'string', enum: ['file', 'api'] }),
  in_force: Type.Boolean({
    description: 'false: headrace.yaml declares this name too, and its declaration is in force',
  }),
})

export function declaredRoutes(app: App, deps: DeclaredDeps) {
  app.addHook('onRequest', requireRole('admin'))
  administer(app, 'upstream', Upstream, deps.upstreams)
  administer(app, 'model', Model, deps.models)

  app.get(
    '/admin/config',
    {
      schema: {
        operationId: 'getConfig',
        summary: 'How headrace.yaml and the stored declarations are doing',
        tags,
        security,
        response: { 200: Type.Unknown(), default: ErrorBody },
      },
    },
    () => {
      const file = deps.fileState()
      const { revision, since, problems, isReachable } = deps.storedState()
      return {
        file: file && {
          path: file.file,
          in_force: file.problem === null,
          problem: file.problem,
          since: file.since,
          reloads: file.reloads,
        },
        stored: { revision, since, problems, reachable: isReachable },
      }
    },
  )
}

function administer(
  app: App,
  kind: 'upstream' | 'model',
  body: TSchema,
  administration: Administration,
) {
  const noun = kind === 'upstream' ? 'Upstream' : 'DeclaredModel'
  const one = kind === 'upstream' ? 'an upstream' : 'a model'
  const documented = (verb: string, summary: string) => ({
    operationId: `${verb}${noun}`,
    summary,
    tags,
    security,
  })
  const answer = { 200: Shown, default: ErrorBody }

  app.get(
    `/admin/${kind}s`,
    {
      schema: {
        ...documented('list', `List the declared ${kind}s`),
        response: { 200: Type.Object({ data: Type.Array(Shown) }), default: ErrorBody },
      },
    },
    async (_request, reply) => reply.send({ data: await administration.list() } as never),
  )

  app.get(
    `/admin/${kind}s/:name`,
    {
      schema: {
        ...documented('get', `Read the declaration of ${one}`),
        params: Params,
        response: answer,
      },
    },
    async (request, reply) => reply.send((await administration.find(request.params.name)) as never),
  )

  app.put(
    `/admin/${kind}s/:name`,
    {
      // Checked by hand, which tells everything that is wrong and not just the first.
      attachValidation: true,
      schema: {
        ...documented('put', `Declare ${one}, or replace its declaration`),
        params: Params,
        body,
        response: answer,
      },
    },
    async (request, reply) => {
      const { name } = request.params
      return reply.send((await administration.put(name, request.body, actorOf(request))) as never)
    },
  )

  app.delete(
    `/admin/${kind}s/:name`,
    {
      schema: {
        ...documented('delete', `Delete ${one} that was declared by this API`),
        params: Params,
        response: { 204: Type.Null(), default: ErrorBody },
      },
    },
    async (request, reply) => {
      await administration.remove(request.params.name, actorOf(request))
      return reply.code(204).send(null)
    },
  )
}
