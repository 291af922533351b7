// /admin/catalog/models: what the catalog knows of models; developers may read it, admins change it.

import { Type } from 'typebox'

import {
  changeCatalogModel,
  createCatalogModel,
  getCatalogModel,
  removeCatalogModel,
} from '../catalog/models.ts'
import { listCatalogModels } from '../db/catalog-models.ts'
import {
  CatalogModelBody,
  catalogModelBody,
  CatalogModelDraft,
  CatalogModelPatch,
  ListedModelBody,
  listedModelBody,
} from '../dialects/admin/catalog-model.ts'
import { listBody, listOf, PAGE_QUERY, readPage } from '../dialects/admin/page.ts'
import { ModelParam } from '../dialects/admin/catalog-fields.ts'
import { ErrorBody } from '../dialects/openai/error.ts'
import { actorOf, requireRole } from '../plugins/roles.ts'
import type { Pool } from '../db/pool.ts'
import type { App } from '../request.ts'

const tags = ['catalog']
const security = [{ key: [] }]
const params = Type.Object({ model: ModelParam })

export function adminCatalogModelRoutes(app: App, { pool }: { pool: Pool }) {
  const admin = requireRole('admin')
  const developer = requireRole('developer')

  app.post(
    '/admin/catalog/models',
    {
      onRequest: admin,
      schema: {
        operationId: 'createCatalogModel',
        summary: 'Tell of a model; those of the library are there by themselves',
        tags,
        security,
        body: CatalogModelDraft,
        response: { 201: CatalogModelBody, default: ErrorBody },
      },
    },
    async (request, reply) => {
      const model = await createCatalogModel(pool, actorOf(request), request.body)
      return reply.code(201).send(catalogModelBody(model))
    },
  )

  app.get(
    '/admin/catalog/models',
    {
      onRequest: developer,
      schema: {
        operationId: 'listCatalogModels',
        summary: 'List models, by name',
        tags,
        security,
        querystring: Type.Object(
          {
            limit: PAGE_QUERY.limit,
            after: Type.Optional(
              Type.String({ pattern: '^[^\\0]*$', description: 'The last_id of the page before.' }),
            ),
          },
          { additionalProperties: false },
        ),
        response: { 200: listOf(ListedModelBody), default: ErrorBody },
      },
    },
    async (request) => {
      const page = await listCatalogModels(pool, readPage(request.query))
      return listBody(page, listedModelBody)
    },
  )

  app.get(
    '/admin/catalog/models/:model',
    {
      onRequest: developer,
      schema: {
        operationId: 'retrieveCatalogModel',
        summary: 'Tell what is known of a model',
        tags,
        security,
        params,
        response: { 200: CatalogModelBody, default: ErrorBody },
      },
    },
    async (request) => catalogModelBody(await getCatalogModel(pool, request.params.model)),
  )

  app.patch(
    '/admin/catalog/models/:model',
    {
      onRequest: admin,
      schema: {
        operationId: 'updateCatalogModel',
        summary: 'Change what is said of a model; what is not named stays as it is',
        tags,
        security,
        params,
        body: CatalogModelPatch,
        response: { 200: CatalogModelBody, default: ErrorBody },
      },
    },
    async (request) => {
      const { model } = request.params
      return catalogModelBody(await changeCatalogModel(pool, actorOf(request), model, request.body))
    },
  )

  app.delete(
    '/admin/catalog/models/:model',
    {
      onRequest: admin,
      schema: {
        operationId: 'deleteCatalogModel',
        summary: 'Delete a model that never had a version, with its notes and requirements',
        tags,
        security,
        params,
        response: { 200: CatalogModelBody, default: ErrorBody },
      },
    },
    async (request) =>
      catalogModelBody(await removeCatalogModel(pool, actorOf(request), request.params.model)),
  )
}
