// /admin/keys: make, list, read, change, rotate and revoke API keys.
//
// Admins may all of it; developers may read what concerns them: their own key, and those of their project.

import { Type } from 'typebox'

import {
  changeKey,
  createKey,
  getKey,
  noKey,
  revokeKey,
  rotateKey,
} from '../administration/keys.ts'
import { getVisibleProject } from '../administration/projects.ts'
import { listApiKeys } from '../db/api-keys.ts'
import {
  KeyBody,
  keyBody,
  KeyDraft,
  KeyPatch,
  NewKeyBody,
  RotationBody,
} from '../dialects/admin/key.ts'
import { flag, listBody, listOf, PAGE_QUERY, readPage } from '../dialects/admin/page.ts'
import { ErrorBody } from '../dialects/openai/error.ts'
import { actorOf, callerOf, requireRole } from '../plugins/roles.ts'
import type { Caller } from '../callers/caller.ts'
import type { ApiKey, KeyFilter } from '../db/api-keys.ts'
import type { Pool } from '../db/pool.ts'
import type { App } from '../request.ts'

export interface AdminDeps {
  pool: Pool
  /** who may call what has changed: what is remembered of it is asked for again */
  onChange: () => void
}

const tags = ['keys']
const security = [{ key: [] }]
const params = Type.Object({
  key: Type.String({ description: 'Its id, or the name of one that is not revoked.' }),
})

export function adminKeyRoutes(app: App, { pool, onChange }: AdminDeps) {
  const admin = requireRole('admin')
  const developer = requireRole('developer')

  app.post(
    '/admin/keys',
    {
      onRequest: admin,
      schema: {
        operationId: 'createKey',
        summary: 'Make an API key; the answer is the only one that has it',
        tags,
        security,
        body: KeyDraft,
        response: { 201: NewKeyBody, default: ErrorBody },
      },
    },
    async (request, reply) => {
      const { apiKey, key } = await createKey(pool, actorOf(request), request.body)
      onChange()
      return reply.code(201).send({ ...keyBody(apiKey), key })
    },
  )

  app.get(
    '/admin/keys',
    {
      onRequest: developer,
      schema: {
        operationId: 'listKeys',
        summary: 'List API keys, newest first',
        tags,
        security,
        querystring: Type.Object(
          {
            ...PAGE_QUERY,
            project: Type.Optional(Type.String({ description: 'Id or name of a project.' })),
            revoked: flag('Revoked ones too.'),
          },
          { additionalProperties: false },
        ),
        response: { 200: listOf(KeyBody), default: ErrorBody },
      },
    },
    async (request) => {
      const { project, revoked } = request.query
      const caller = callerOf(request)
      const filter = {
        visibleTo: scopeOf(caller),
        projectId:
          project === undefined ? undefined : (await getVisibleProject(pool, caller, project)).id,
        withRevoked: revoked === 'true',
      }
      return listBody(await listApiKeys(pool, filter, readPage(request.query)), keyBody)
    },
  )

  app.get(
    '/admin/keys/:key',
    {
      onRequest: developer,
      schema: {
        operationId: 'retrieveKey',
        summary: 'Tell of one API key',
        tags,
        security,
        params,
        response: { 200: KeyBody, default: ErrorBody },
      },
    },
    async (request) => {
      const apiKey = await getKey(pool, request.params.key)
      // Told as if it were not there: what others have is not to be found out by trying.
      if (!isVisible(apiKey, scopeOf(callerOf(request)))) throw noKey(request.params.key)
      return keyBody(apiKey)
    },
  )

  app.patch(
    '/admin/keys/:key',
    {
      onRequest: admin,
      schema: {
        operationId: 'updateKey',
        summary: 'Change an API key; what is not named stays as it is',
        tags,
        security,
        params,
        body: KeyPatch,
        response: { 200: KeyBody, default: ErrorBody },
      },
    },
    async (request) => {
      const apiKey = await changeKey(pool, actorOf(request), request.params.key, request.body)
      onChange()
      return keyBody(apiKey)
    },
  )

  app.post(
    '/admin/keys/:key/rotate',
    {
      onRequest: admin,
      schema: {
        operationId: 'rotateKey',
        summary: 'Give an API key another secret; the one of before may work for a while',
        tags,
        security,
        params,
        body: RotationBody,
        response: { 200: NewKeyBody, default: ErrorBody },
      },
    },
    async (request) => {
      const overlap = request.body?.overlap_seconds ?? 0
      const rotated = await rotateKey(pool, actorOf(request), request.params.key, overlap)
      onChange()
      return { ...keyBody(rotated.apiKey), key: rotated.key }
    },
  )

  app.delete(
    '/admin/keys/:key',
    {
      onRequest: admin,
      schema: {
        operationId: 'revokeKey',
        summary: 'Revoke an API key, for good; every replica refuses it within seconds',
        tags,
        security,
        params,
        response: { 200: KeyBody, default: ErrorBody },
      },
    },
    async (request) => {
      const apiKey = await revokeKey(pool, actorOf(request), request.params.key)
      onChange()
      return keyBody(apiKey)
    },
  )
}

type Scope = KeyFilter['visibleTo']

function scopeOf(caller: Caller): Scope {
  if (caller.role === 'admin') return undefined
  return { keyId: caller.id, projectId: caller.project?.id ?? null }
}

function isVisible({ id, project }: ApiKey, scope: Scope): boolean {
  if (!scope) return true
  return id === scope.keyId || (project !== null && project.id === scope.projectId)
}
