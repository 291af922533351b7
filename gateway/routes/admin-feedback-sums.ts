// /admin/feedback/sums and /admin/feedback/worst: whether users are happy, with which version, and where they were not.

import { confirmFeedback } from '../db/feedback.ts'
import { listWorstRated, sumFeedback } from '../db/feedback-sums.ts'
import {
  readRows,
  readSumFilter,
  SumsBody,
  sumsBody,
  SumsQuery,
  WorstBody,
  worstBody,
  WorstQuery,
} from '../dialects/admin/feedback-sums.ts'
import { ErrorBody } from '../dialects/openai/error.ts'
import { requireRole } from '../plugins/roles.ts'
import type { Pool } from '../db/pool.ts'
import type { App } from '../request.ts'

/** what is waiting to be counted, at most, in one look at it */
const CONFIRM_LIMIT = 500

export function adminFeedbackSumRoutes(app: App, { pool }: { pool: Pool }) {
  const onRequest = requireRole('admin')
  const common = { tags: ['feedback'], security: [{ key: [] }] }

  app.get(
    '/admin/feedback/sums',
    {
      onRequest,
      schema: {
        ...common,
        operationId: 'sumFeedback',
        summary: 'Count feedback by version, model, caller, end user, hour or day',
        querystring: SumsQuery,
        response: { 200: SumsBody, default: ErrorBody },
      },
    },
    async ({ query }) => {
      await confirmFeedback(pool, null, CONFIRM_LIMIT)
      const { by = 'version' } = query
      return sumsBody(await sumFeedback(pool, by, readSumFilter(query), readRows(query)))
    },
  )

  app.get(
    '/admin/feedback/worst',
    {
      onRequest,
      schema: {
        ...common,
        operationId: 'listWorstRated',
        summary: 'List the exchanges that were rated worst',
        querystring: WorstQuery,
        response: { 200: WorstBody, default: ErrorBody },
      },
    },
    async ({ query }) => {
      await confirmFeedback(pool, null, CONFIRM_LIMIT)
      return worstBody(await listWorstRated(pool, readSumFilter(query), readRows(query)))
    },
  )
}
