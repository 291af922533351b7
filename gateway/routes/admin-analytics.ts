// /admin/analytics: what was used, how fast, at what cost; and what stands out.
//
// Admins see everything, developers what is of their project.

import type { FastifyRequest } from 'fastify'

import {
  askUsage,
  inTime,
  readSpan,
  visibleProject,
  wholeHours,
} from '../administration/analytics.ts'
import { recordChange } from '../db/audit.ts'
import { listFrequentErrors, listFrequentPrompts, listRanked, RANKS } from '../db/top-exchanges.ts'
import {
  errorRow,
  ErrorsBody,
  promptRow,
  PromptsBody,
  RankedBody,
  rankedRow,
  readGroup,
  TopQuery,
  UsageBody,
  UsageQuery,
  usageRowBody,
} from '../dialects/admin/analytics.ts'
import { readTime } from '../dialects/admin/fields.ts'
import { ErrorBody } from '../dialects/openai/error.ts'
import { actorOf, callerOf, requireRole } from '../plugins/roles.ts'
import type { Pool } from '../db/pool.ts'
import type { Rank, Top, TopQuestion } from '../db/top-exchanges.ts'
import type { App } from '../request.ts'

export interface AdminAnalyticsDeps {
  pool: Pool
  /** milliseconds since 1970 */
  now: () => number
}

const DEFAULT_ROWS = 1000
const DEFAULT_TOP = 20
const RANK_SUMMARIES: Record<Rank, string> = {
  slowest: 'List the exchanges that took longest',
  slowest_first_token: 'List the exchanges whose first token took longest',
  most_expensive: 'List the exchanges that cost most',
}

interface SpanQuery {
  from?: string
  to?: string
}
type TopQuery = SpanQuery & { limit?: string } & TopQuestion['filter']

export function adminAnalyticsRoutes(app: App, { pool, now }: AdminAnalyticsDeps) {
  const developer = requireRole('developer')
  const common = { tags: ['analytics'], security: [{ key: [] }] }

  const spanOf = ({ from, to }: SpanQuery) =>
    readSpan(
      from === undefined ? undefined : readTime(from, 'from'),
      to === undefined ? undefined : readTime(to, 'to'),
      now(),
    )

  const questionOf = async (request: FastifyRequest, query: TopQuery): Promise<TopQuestion> => {
    const { project, caller, model, version, upstream, limit } = query
    const only = await visibleProject(pool, callerOf(request), project)
    const filter = { project: only, caller, model, version, upstream }
    return { ...spanOf(query), filter, limit: Number(limit ?? DEFAULT_TOP) }
  }

  app.get(
    '/admin/analytics',
    {
      onRequest: developer,
      schema: {
        operationId: 'usage',
        summary: 'Sum up what was used, how fast and at what cost, by whole hours',
        ...common,
        querystring: UsageQuery,
        response: { 200: UsageBody, default: ErrorBody },
      },
    },
    async (request) => {
      const { query } = request
      const { period = null, sort = 'requests', limit, project, ...words } = query
      const { caller, model, version, upstream, tag } = words
      const group = readGroup(query.group)
      const only = await visibleProject(pool, callerOf(request), project)
      const filter = Object.fromEntries(
        Object.entries({ project: only, caller, model, version, upstream, tag }).filter(
          ([, value]) => value !== undefined,
        ),
      )
      const span = wholeHours(spanOf(query))
      const { rows, hasMore } = await askUsage(pool, {
        ...span,
        period,
        group,
        filter,
        sort,
        limit: Number(limit ?? DEFAULT_ROWS),
      })
      return {
        object: 'usage' as const,
        from: span.from.toISOString(),
        to: span.to.toISOString(),
        data: rows.map((row) => usageRowBody(row, group)),
        has_more: hasMore,
      }
    },
  )

  for (const rank of Object.keys(RANKS) as Rank[]) {
    app.get(
      `/admin/analytics/${rank.replaceAll('_', '-')}`,
      {
        onRequest: developer,
        schema: {
          operationId: rank.replace(/_./g, ([, letter]) => letter!.toUpperCase()),
          summary: RANK_SUMMARIES[rank],
          ...common,
          querystring: TopQuery,
          response: { 200: RankedBody, default: ErrorBody },
        },
      },
      async (request) => {
        const question = await questionOf(request, request.query)
        return topBody(question, await inTime(listRanked(pool, rank, question)), rankedRow)
      },
    )
  }

  app.get(
    '/admin/analytics/errors',
    {
      onRequest: developer,
      schema: {
        operationId: 'frequentErrors',
        summary: 'List what went wrong most often',
        ...common,
        querystring: TopQuery,
        response: { 200: ErrorsBody, default: ErrorBody },
      },
    },
    async (request) => {
      const question = await questionOf(request, request.query)
      return topBody(question, await inTime(listFrequentErrors(pool, question)), errorRow)
    },
  )

  app.get(
    '/admin/analytics/prompts',
    {
      onRequest: developer,
      schema: {
        operationId: 'frequentPrompts',
        summary: 'List what was asked most often; that it was read is in the audit log',
        description: 'Of many exchanges 5,000 are looked at, evenly chosen.',
        ...common,
        querystring: TopQuery,
        response: { 200: PromptsBody, default: ErrorBody },
      },
    },
    async (request) => {
      const question = await questionOf(request, request.query)
      await recordChange(pool, actorOf(request), {
        action: 'prompts.read',
        kind: 'prompts',
        id: question.filter.project ?? '',
        name: 'most frequent',
        before: null,
        after: { ...request.query },
      })
      const top = await inTime(listFrequentPrompts(pool, question))
      return topBody(question, top, (row) => promptRow(row, top.examined))
    },
  )
}

function topBody<Row, Body>(
  { to }: TopQuestion,
  { rows, from, isPart }: Top<Row>,
  toBody: (row: Row) => Body,
) {
  return {
    object: 'list' as const,
    from: from.toISOString(),
    to: to.toISOString(),
    is_part: isPart,
    data: rows.map(toBody),
  }
}
