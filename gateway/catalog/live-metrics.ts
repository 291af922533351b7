// What a version does in service, from the sums of hours that the exchange log keeps, and from feedback.
//
// Knows: which sums say it. Does not know: SQL, HTTP.

import { listUsage } from '../db/analytics.ts'
import { countBusyHours } from '../db/catalog-usage.ts'
import { sumFeedback } from '../db/feedback-sums.ts'
import { inTime, wholeHours } from '../administration/analytics.ts'
import type { Percentiles } from '../db/analytics.ts'
import type { Pool } from '../db/pool.ts'
import type { Span } from '../administration/analytics.ts'

interface Latency {
  p50: number
  p95: number
}

export interface LiveMetrics extends Span {
  /** `model@number` */
  version: string
  requests: number
  requestsPerHour: number
  /** share of those that failed, without those that were refused; null without any */
  errorRate: number | null
  refused: number
  cancelled: number
  totalMs: Latency | null
  timeToFirstTokenMs: Latency | null
  /** generated, on average over hours in which there were requests; null without any */
  tokensPerSecond: number | null
  promptTokens: number
  completionTokens: number
  costUsd: number
  feedback: { given: number; meanScore: number | null; up: number; down: number }
}

const HOUR_S = 3_600
const NO_FEEDBACK = { given: 0, meanScore: null, up: 0, down: 0 }

/** @param span taken in whole hours @throws GatewayError `query_too_slow` */
export async function measureLive(pool: Pool, version: string, span: Span): Promise<LiveMetrics> {
  const { from, to } = wholeHours(span)
  const filter = { version }
  const question = {
    from,
    to,
    period: null,
    group: [],
    filter,
    sort: 'requests',
    limit: 1,
  } as const
  const [used] = await inTime(listUsage(pool, question))
  const busyHours = await countBusyHours(pool, version, { from, to })
  const [said = NO_FEEDBACK] = await sumFeedback(
    pool,
    'version',
    { version, since: from, until: to },
    1,
  )
  const { requests = 0, failed = 0, refused = 0, completionTokens = 0 } = used ?? {}
  const hours = (to.getTime() - from.getTime()) / (HOUR_S * 1000)
  const tried = requests - refused
  return {
    version,
    from,
    to,
    requests,
    requestsPerHour: requests / hours,
    errorRate: tried > 0 ? failed / tried : null,
    refused,
    cancelled: used?.cancelled ?? 0,
    totalMs: latencyOf(used?.totalMs),
    timeToFirstTokenMs: latencyOf(used?.timeToFirstTokenMs),
    tokensPerSecond: busyHours > 0 ? completionTokens / (busyHours * HOUR_S) : null,
    promptTokens: used?.promptTokens ?? 0,
    completionTokens,
    costUsd: used?.costUsd ?? 0,
    feedback: {
      given: said.given,
      meanScore: said.meanScore,
      up: said.up,
      down: said.down,
    },
  }
}

function latencyOf(percentiles: Percentiles | undefined): Latency | null {
  if (!percentiles) return null
  const [p50, , p95] = percentiles
  return { p50, p95 }
}
