// /admin/models/:model/canary, …/shadows, …/requirements: how a version on trial is doing, what a version that nobody
// sees answered, and what a version must have been measured at.
//
// Developers may read figures; admins read answers, which the audit log tells, and change requirements.

import { Type } from 'typebox'

import { setRequirements } from '../administration/requirements.ts'
import { canaryStatusOf } from '../canary/status.ts'
import { recordReadings } from '../db/audit.ts'
import { readOnly } from '../db/read-only.ts'
import { listRequirements } from '../db/requirements.ts'
import { listShadowAnswers, summariseShadows } from '../db/shadow-answers.ts'
import { CanaryStatusBody, endedBody, trialBody } from '../dialects/admin/canary.ts'
import { listBody, listOf, PAGE_QUERY, readPage } from '../dialects/admin/page.ts'
import {
  readRequirements,
  RequirementsBody,
  requirementsBody,
  RequirementsDraft,
} from '../dialects/admin/requirement.ts'
import {
  readShadowFilter,
  SHADOW_QUERY,
  ShadowBody,
  shadowBody,
  ShadowSummaryBody,
  shadowSummaryBody,
} from '../dialects/admin/shadow.ts'
import { ErrorBody } from '../dialects/openai/error.ts'
import { GatewayError } from '../errors.ts'
import { actorOf, requireRole } from '../plugins/roles.ts'
import type { Pool } from '../db/pool.ts'
import type { App } from '../request.ts'

const tags = ['deployments']
const security = [{ key: [] }]
const params = Type.Object({ model: Type.String({ minLength: 1, maxLength: 256 }) })
const include = Type.Optional(
  Type.Unsafe<'bodies'>({
    type: 'string',
    enum: ['bodies'],
    description: 'With both answers; who reads them is told in the audit log.',
  }),
)

export function adminCanaryRoutes(app: App, { pool, now }: { pool: Pool; now: () => number }) {
  const admin = requireRole('admin')
  const developer = requireRole('developer')

  app.get(
    '/admin/models/:model/canary',
    {
      onRequest: developer,
      schema: {
        operationId: 'getCanary',
        summary: 'How the version on trial is doing, or the last one did, and what comes next',
        tags,
        security,
        params,
        response: { 200: CanaryStatusBody, default: ErrorBody },
      },
    },
    async ({ params: { model } }) => {
      const status = await canaryStatusOf(pool, model, new Date(now()))
      if (!status) {
        throw new GatewayError(
          'canary_not_found',
          `No version of '${model}' was ever on trial here.`,
        )
      }
      const { trial, verdict } = status
      return trial ? trialBody(trial, verdict, status.next) : endedBody(verdict)
    },
  )

  app.get(
    '/admin/models/:model/shadows',
    {
      onRequest: admin,
      schema: {
        operationId: 'listShadows',
        summary: "List a shadow's answers beside the live version's, newest first",
        tags,
        security,
        params,
        querystring: Type.Object(
          { ...PAGE_QUERY, ...SHADOW_QUERY, include },
          { additionalProperties: false },
        ),
        response: { 200: listOf(ShadowBody), default: ErrorBody },
      },
    },
    async (request) => {
      const { params, query } = request
      const withTexts = query.include === 'bodies'
      const filter = readShadowFilter(params.model, query)
      const found = await listShadowAnswers(pool, filter, readPage(query), withTexts)
      const ids = found.rows.map(({ exchangeId }) => exchangeId)
      // What can't be told in the audit log is not shown.
      if (withTexts) await recordReadings(pool, actorOf(request), 'exchange.read', ids)
      return listBody(found, shadowBody)
    },
  )

  app.get(
    '/admin/models/:model/shadows/summary',
    {
      onRequest: developer,
      schema: {
        operationId: 'summariseShadows',
        summary: 'How alike, how fast and how dear a shadow is, in sums',
        tags,
        security,
        params,
        querystring: Type.Object(SHADOW_QUERY, { additionalProperties: false }),
        response: { 200: ShadowSummaryBody, default: ErrorBody },
      },
    },
    async ({ params: { model }, query }) => {
      const filter = readShadowFilter(model, query)
      return shadowSummaryBody(model, await readOnly(pool, (db) => summariseShadows(db, filter)))
    },
  )

  app.get(
    '/admin/models/:model/requirements',
    {
      onRequest: developer,
      schema: {
        operationId: 'getRequirements',
        summary: 'What versions of a model must have been measured at before they may be deployed',
        tags,
        security,
        params,
        response: { 200: RequirementsBody, default: ErrorBody },
      },
    },
    async ({ params: { model } }) => requirementsBody(model, await listRequirements(pool, model)),
  )

  app.put(
    '/admin/models/:model/requirements',
    {
      onRequest: admin,
      schema: {
        operationId: 'setRequirements',
        summary: 'Replace them, all at once; what is live stays live',
        tags,
        security,
        params,
        body: RequirementsDraft,
        response: { 200: RequirementsBody, default: ErrorBody },
      },
    },
    async (request) => {
      const { model } = request.params
      const requirements = readRequirements(request.body)
      return requirementsBody(
        model,
        await setRequirements(pool, actorOf(request), model, () => requirements),
      )
    },
  )
}
