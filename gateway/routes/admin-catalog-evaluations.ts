// What versions are worth: evaluations, told by whoever measured, and what the exchange log says of them.

import { Type } from 'typebox'

import { readSpan } from '../administration/analytics.ts'
import { tellEvaluations } from '../catalog/evaluations.ts'
import { measureLive } from '../catalog/live-metrics.ts'
import { getCatalogModel } from '../catalog/models.ts'
import { getVersion } from '../catalog/versions.ts'
import { listEvaluations } from '../db/catalog-evaluations.ts'
import {
  EvaluationBatch,
  EvaluationBody,
  evaluationBody,
  EVALUATIONS_QUERY,
  LiveMetricsBody,
  liveMetricsBody,
} from '../dialects/admin/catalog-evaluation.ts'
import { readTime, Time } from '../dialects/admin/fields.ts'
import { listBody, listOf, readPage } from '../dialects/admin/page.ts'
import { ModelParam, VersionParam } from '../dialects/admin/catalog-fields.ts'
import { ErrorBody } from '../dialects/openai/error.ts'
import { actorOf, requireRole } from '../plugins/roles.ts'
import type { Pool } from '../db/pool.ts'
import type { App } from '../request.ts'

const tags = ['catalog']
const security = [{ key: [] }]
const params = Type.Object({
  model: ModelParam,
  version: VersionParam,
})

export function adminCatalogEvaluationRoutes(
  app: App,
  { pool, now }: { pool: Pool; now: () => number },
) {
  const developer = requireRole('developer')
  const idOf = ({ model, version }: { model: string; version: string }) => `${model}@${version}`

  app.post(
    '/admin/catalog/models/:model/versions/:version/evaluations',
    {
      onRequest: requireRole('admin'),
      schema: {
        operationId: 'createCatalogEvaluations',
        summary: 'Tell what a version achieved on datasets',
        tags,
        security,
        params,
        body: EvaluationBatch,
        response: {
          201: Type.Object({ object: Type.Literal('list'), data: Type.Array(EvaluationBody) }),
          default: ErrorBody,
        },
      },
    },
    async (request, reply) => {
      const { evaluations } = request.body
      const told = await tellEvaluations(pool, actorOf(request), idOf(request.params), evaluations)
      return reply.code(201).send({ object: 'list' as const, data: told.map(evaluationBody) })
    },
  )

  app.get(
    '/admin/catalog/models/:model/evaluations',
    {
      onRequest: developer,
      schema: {
        operationId: 'listCatalogModelEvaluations',
        summary: 'List the evaluations of all versions of a model, as they were told, newest first',
        tags,
        security,
        params: Type.Object({ model: ModelParam }),
        querystring: EVALUATIONS_QUERY,
        response: { 200: listOf(EvaluationBody), default: ErrorBody },
      },
    },
    async (request) => {
      const { dataset, metric } = request.query
      const { name } = await getCatalogModel(pool, request.params.model)
      const filter = { model: name, dataset, metric }
      return listBody(await listEvaluations(pool, filter, readPage(request.query)), evaluationBody)
    },
  )

  app.get(
    '/admin/catalog/models/:model/versions/:version/evaluations',
    {
      onRequest: developer,
      schema: {
        operationId: 'listCatalogEvaluations',
        summary: 'List the evaluations of a version, as they were told, newest first',
        tags,
        security,
        params,
        querystring: EVALUATIONS_QUERY,
        response: { 200: listOf(EvaluationBody), default: ErrorBody },
      },
    },
    async (request) => {
      const { dataset, metric } = request.query
      const { id, model } = await getVersion(pool, idOf(request.params))
      const filter = { model, version: id, dataset, metric }
      return listBody(await listEvaluations(pool, filter, readPage(request.query)), evaluationBody)
    },
  )

  app.get(
    '/admin/catalog/models/:model/versions/:version/metrics',
    {
      onRequest: developer,
      schema: {
        operationId: 'retrieveCatalogMetrics',
        summary: 'Tell what a version does in service; in whole hours, the last day without more',
        tags,
        security,
        params,
        querystring: Type.Object(
          { from: Type.Optional(Time), to: Type.Optional(Time) },
          { additionalProperties: false },
        ),
        response: { 200: LiveMetricsBody, default: ErrorBody },
      },
    },
    async (request) => {
      const { from, to } = request.query
      const { id } = await getVersion(pool, idOf(request.params))
      const span = readSpan(
        from === undefined ? undefined : readTime(from, 'from'),
        to === undefined ? undefined : readTime(to, 'to'),
        now(),
      )
      return liveMetricsBody(await measureLive(pool, id, span))
    },
  )
}
