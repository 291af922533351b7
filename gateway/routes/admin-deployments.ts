// /admin/models/:model/deployments and what belongs to it: deploy, try out, promote, take back; what is live, was, and why.
//
// Developers may read; admins may change.

import { Type } from 'typebox'

import {
  findDeploymentAt,
  findDeploymentOfExchange,
  findLiveDeployment,
  listDeployments,
} from '../db/deployments.ts'
import {
  DeploymentBody,
  deploymentBody,
  DeploymentDraft,
  readRequest,
  RollbackDraft,
} from '../dialects/admin/deployment.ts'
import { readTime } from '../dialects/admin/fields.ts'
import { ErrorBody } from '../dialects/openai/error.ts'
import { notDeployed } from '../deployments/switchboard.ts'
import { GatewayError } from '../errors.ts'
import { actorOf, requireRole } from '../plugins/roles.ts'
import type { Pool } from '../db/pool.ts'
import type { Deployments } from '../deployments/open.ts'
import type { App } from '../request.ts'

export interface AdminDeploymentsDeps {
  pool: Pool
  switchboard: Deployments['switchboard']
}

const DEFAULT_LIMIT = 20
const tags = ['deployments']
const security = [{ key: [] }]
const params = Type.Object({ model: Type.String({ minLength: 1, maxLength: 256 }) })
const answer = { 200: DeploymentBody, default: ErrorBody }

export function adminDeploymentRoutes(app: App, { pool, switchboard }: AdminDeploymentsDeps) {
  const admin = requireRole('admin')
  const developer = requireRole('developer')

  app.post(
    '/admin/models/:model/deployments',
    {
      onRequest: admin,
      schema: {
        operationId: 'createDeployment',
        summary: 'Deploy a version, try one out, promote it, shadow it, or share the traffic out',
        description:
          'Answers when what was asked for is live: versions are loaded and warmed up before. 422 where they could not be, ' +
          '409 where something else became live meanwhile.',
        tags,
        security,
        params,
        body: DeploymentDraft,
        response: answer,
      },
    },
    async (request) => {
      const { if_live: ifLive, replace, override, reason } = request.body
      const asked = { actor: actorOf(request), reason: reason ?? null, ifLive, replace, override }
      const wanted = readRequest(request.body)
      return deploymentBody(await switchboard.deploy(request.params.model, wanted, asked))
    },
  )

  app.post(
    '/admin/models/:model/rollback',
    {
      onRequest: admin,
      // Whoever is in a hurry has nothing to say: a call without a body goes to the last good state.
      preValidation: (request, _reply, done) => {
        request.body ??= {}
        done()
      },
      schema: {
        operationId: 'rollBack',
        summary: 'Go back to the last good state, or to that of any deployment',
        tags,
        security,
        params,
        body: RollbackDraft,
        response: answer,
      },
    },
    async (request) => {
      const { to, if_live: ifLive, replace, reason } = request.body
      const asked = { actor: actorOf(request), reason: reason ?? null, ifLive, replace }
      return deploymentBody(await switchboard.rollback(request.params.model, to ?? null, asked))
    },
  )

  app.get(
    '/admin/models/:model/deployments',
    {
      onRequest: developer,
      schema: {
        operationId: 'listDeployments',
        summary: 'List all deployments of a model, newest first, failed ones too',
        tags,
        security,
        params,
        querystring: Type.Object(
          {
            limit: Type.Optional(
              Type.String({ pattern: '^([1-9]\\d?|100)$', title: 'a whole number from 1 to 100' }),
            ),
            before: Type.Optional(
              Type.String({
                pattern: '^[1-9]\\d{0,8}$',
                title: 'a number of a deployment',
                description: 'Those before this number: last_number of the page before.',
              }),
            ),
          },
          { additionalProperties: false },
        ),
        response: {
          200: Type.Object({
            object: Type.Literal('list'),
            data: Type.Array(DeploymentBody),
            has_more: Type.Boolean(),
            last_number: Type.Unsafe<number | null>({ type: ['integer', 'null'] }),
          }),
          default: ErrorBody,
        },
      },
    },
    async (request) => {
      const { limit, before } = request.query
      const { rows, hasMore } = await listDeployments(pool, request.params.model, {
        before: before === undefined ? null : Number(before),
        limit: limit === undefined ? DEFAULT_LIMIT : Number(limit),
      })
      const data = rows.map(deploymentBody)
      const last_number = rows.at(-1)?.number ?? null
      return { object: 'list' as const, data, has_more: hasMore, last_number }
    },
  )

  app.get(
    '/admin/models/:model/live',
    {
      onRequest: developer,
      schema: {
        operationId: 'getLiveDeployment',
        summary: 'Tell what is live of a model',
        tags,
        security,
        params,
        response: answer,
      },
    },
    async (request) => {
      const { model } = request.params
      const live = await findLiveDeployment(pool, model)
      if (!live) throw notDeployed(model)
      return deploymentBody(live)
    },
  )

  app.get(
    '/admin/models/:model/deployments/at',
    {
      onRequest: developer,
      schema: {
        operationId: 'getDeploymentAt',
        summary: 'Tell what was live of a model at a time',
        tags,
        security,
        params,
        querystring: Type.Object(
          { time: Type.String({ description: 'Such as 2027-01-31T14:03:00Z.' }) },
          { additionalProperties: false },
        ),
        response: answer,
      },
    },
    async (request) => {
      const { model } = request.params
      const at = readTime(request.query.time, 'time')
      const live = await findDeploymentAt(pool, model, at)
      if (live) return deploymentBody(live)
      throw new GatewayError(
        'deployment_not_found',
        `Nothing of '${model}' was live at ${at.toISOString()}.`,
        { param: 'time' },
      )
    },
  )

  app.get(
    '/admin/exchanges/:id/deployment',
    {
      onRequest: developer,
      schema: {
        operationId: 'getExchangeDeployment',
        summary: 'Tell which deployment led an exchange to whoever answered it',
        tags,
        security,
        params: Type.Object({ id: Type.String({ format: 'uuid' }) }),
        response: answer,
      },
    },
    async (request) => {
      const { id } = request.params
      const entry = await findDeploymentOfExchange(pool, id)
      if (entry) return deploymentBody(entry)
      if (entry === null) {
        throw new GatewayError(
          'deployment_not_found',
          `No deployment led the exchange '${id}' anywhere: it named a version itself, its model is declared, or nobody was asked.`,
        )
      }
      throw new GatewayError('exchange_not_found', `There is no exchange '${id}'.`)
    },
  )
}
