// Questions about exchanges: whose they may be about, of which time, and what can't be asked.
//
// Knows: what may be asked. Does not know: HTTP, the command line, SQL.

import { GatewayError } from '../errors.ts'
import { listUsage, tableFor } from '../db/analytics.ts'
import { QueryTooSlow } from '../db/read-only.ts'
import { getVisibleProject } from './projects.ts'
import type { Caller } from '../callers/caller.ts'
import type { Dimension, UsageQuestion, UsageRow } from '../db/analytics.ts'
import type { Pool, Queryable } from '../db/pool.ts'

const HOUR_MS = 60 * 60_000
const DAY_MS = 24 * HOUR_MS
/** in nobody's tables: what a developer without a project may see */
const NONE = '00000000-0000-0000-0000-000000000000'

export interface Span {
  from: Date
  to: Date
}

/** The last day where nothing is said. @throws GatewayError where it ends before it begins */
export function readSpan(from: Date | undefined, to: Date | undefined, nowMs: number): Span {
  const end = to ?? new Date(nowMs)
  const start = from ?? new Date(end.getTime() - DAY_MS)
  if (start < end) return { from: start, to: end }
  throw new GatewayError(
    'invalid_value',
    `'from' must be before 'to'; got ${start.toISOString()} and ${end.toISOString()}.`,
    { param: 'from' },
  )
}

/** Hours that lie in it in part are taken as a whole. */
export function wholeHours({ from, to }: Span): Span {
  return {
    from: new Date(Math.floor(from.getTime() / HOUR_MS) * HOUR_MS),
    to: new Date(Math.ceil(to.getTime() / HOUR_MS) * HOUR_MS),
  }
}

/**
 * @param given id or name of a project, where one was named
 * @returns id of the one project that is asked about; undefined: of all, and of none
 * @throws GatewayError `project_not_found`
 */
export async function visibleProject(
  db: Queryable,
  caller: Caller,
  given: string | undefined,
): Promise<string | undefined> {
  if (given !== undefined) return (await getVisibleProject(db, caller, given)).id
  return caller.role === 'admin' ? undefined : (caller.project?.id ?? NONE)
}

/** @returns the rows up to the limit, and whether there are more; @throws GatewayError */
export async function askUsage(
  pool: Pool,
  question: UsageQuestion,
): Promise<{ rows: UsageRow[]; hasMore: boolean }> {
  const { group, filter, limit } = question
  const asked = [...group, ...(Object.keys(filter) as Dimension[])]
  if (tableFor(asked) === null) {
    const others = asked.filter((name) => name !== 'tag' && name !== 'project')
    throw new GatewayError(
      'invalid_value',
      `'tag' can be asked with 'project' alone; got ${[...new Set(others)].join(', ')} too.`,
      { param: 'group' },
    )
  }
  const rows = await inTime(listUsage(pool, question))
  return { rows: rows.slice(0, limit), hasMore: rows.length > limit }
}

/** @throws GatewayError `query_too_slow` */
export async function inTime<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    if (!(error instanceof QueryTooSlow)) throw error
    throw new GatewayError(
      'query_too_slow',
      `${error.message} Ask for a shorter time between 'from' and 'to', or for fewer things at once.`,
      { param: 'from', cause: error },
    )
  }
}
