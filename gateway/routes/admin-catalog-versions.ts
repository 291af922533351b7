// /admin/catalog/models/:model/versions: versions of a model, their life and their end.

import { Type } from 'typebox'

import { deleteVersion } from '../catalog/deletion.ts'
import { getCatalogModel } from '../catalog/models.ts'
import { changeVersion, createUpstreamVersion, getVersion } from '../catalog/versions.ts'
import { listVersions, VERSION_STATES } from '../db/catalog-versions.ts'
import {
  readStates,
  UpstreamVersionDraft,
  VersionBody,
  versionBody,
  VersionPatch,
} from '../dialects/admin/catalog-version.ts'
import { listBody, listOf, PAGE_QUERY } from '../dialects/admin/page.ts'
import { ModelParam, VersionParam } from '../dialects/admin/catalog-fields.ts'
import { ErrorBody } from '../dialects/openai/error.ts'
import { actorOf, requireRole } from '../plugins/roles.ts'
import type { VersionDeps } from '../catalog/versions.ts'
import type { App } from '../request.ts'

const tags = ['catalog']
const security = [{ key: [] }]
const params = Type.Object({
  model: ModelParam,
  version: VersionParam,
})
const DEFAULT_LIMIT = 20

export function adminCatalogVersionRoutes(app: App, deps: VersionDeps) {
  const { pool } = deps
  const admin = requireRole('admin')
  const developer = requireRole('developer')
  const idOf = ({ model, version }: { model: string; version: string }) => `${model}@${version}`

  app.post(
    '/admin/catalog/models/:model/versions',
    {
      onRequest: admin,
      schema: {
        operationId: 'createCatalogVersion',
        summary:
          'Register a version that an upstream answers; those of the library are there by themselves',
        tags,
        security,
        params: Type.Object({ model: ModelParam }),
        body: UpstreamVersionDraft,
        response: { 201: VersionBody, default: ErrorBody },
      },
    },
    async (request, reply) => {
      const { model } = request.params
      const version = await createUpstreamVersion(deps, actorOf(request), model, request.body)
      return reply.code(201).send(versionBody(version))
    },
  )

  app.get(
    '/admin/catalog/models/:model/versions',
    {
      onRequest: developer,
      schema: {
        operationId: 'listCatalogVersions',
        summary: 'List the versions of a model, newest first',
        tags,
        security,
        params: Type.Object({ model: ModelParam }),
        querystring: Type.Object(
          {
            limit: PAGE_QUERY.limit,
            after: Type.Optional(
              Type.String({
                pattern: '^([^@\\0]*@)?[1-9]\\d{0,8}$',
                title: 'the last_id of the page before',
                description: 'The last_id of the page before.',
              }),
            ),
            state: Type.Optional(
              Type.Unsafe<(typeof VERSION_STATES)[number]>({
                type: 'string',
                enum: [...VERSION_STATES],
                description: 'Without it all that are not deleted.',
              }),
            ),
          },
          { additionalProperties: false },
        ),
        response: { 200: listOf(VersionBody), default: ErrorBody },
      },
    },
    async (request) => {
      const { limit, after, state } = request.query
      const { name } = await getCatalogModel(pool, request.params.model)
      const page = await listVersions(pool, name, {
        states: readStates(state),
        before: after === undefined ? null : Number(after.slice(after.indexOf('@') + 1)),
        limit: limit === undefined ? DEFAULT_LIMIT : Number(limit),
      })
      return listBody(page, versionBody)
    },
  )

  app.get(
    '/admin/catalog/models/:model/versions/:version',
    {
      onRequest: developer,
      schema: {
        operationId: 'retrieveCatalogVersion',
        summary: 'Tell what is known of a version',
        tags,
        security,
        params,
        response: { 200: VersionBody, default: ErrorBody },
      },
    },
    async (request) => versionBody(await getVersion(pool, idOf(request.params))),
  )

  app.patch(
    '/admin/catalog/models/:model/versions/:version',
    {
      onRequest: admin,
      schema: {
        operationId: 'updateCatalogVersion',
        summary: 'Say what a version was made of, once; make it ready, archive it, take it back',
        tags,
        security,
        params,
        body: VersionPatch,
        response: { 200: VersionBody, default: ErrorBody },
      },
    },
    async (request) => {
      const id = idOf(request.params)
      return versionBody(await changeVersion(deps, actorOf(request), id, request.body))
    },
  )

  app.delete(
    '/admin/catalog/models/:model/versions/:version',
    {
      onRequest: admin,
      schema: {
        operationId: 'deleteCatalogVersion',
        summary:
          'Delete a version with its folder; what was said of it stays, and its number is not given again',
        tags,
        security,
        params,
        response: { 200: VersionBody, default: ErrorBody },
      },
    },
    async (request) =>
      versionBody(await deleteVersion(deps, actorOf(request), idOf(request.params))),
  )
}
