// What is kept of exchanges, read: rows with their figures, and their texts, put together again.
//
// Knows: columns. Does not know: how ids are found, who may read what.

import { timeOfId, lowestIdAt } from './partitions.ts'
import { joinSystemPrompt } from './system-prompts.ts'
import type { ExchangeRecord } from '../exchange/exchange-record.ts'
import type { Queryable } from './pool.ts'

/** Without texts. Times in milliseconds, null where the exchange never got that far. */
export interface ExchangeRow extends Omit<
  ExchangeRecord,
  'closedAt' | 'isDeclined' | 'attempts' | 'prompt' | 'answer' | 'toolCalls' | 'parameters'
> {
  attemptCount: number
  /** null where the first one answered */
  attempts: ExchangeRecord['attempts'] | null
  /** hex: of the conversation up to and with this answer */
  digest: string | null
  /** hex: of the conversation up to and with the last answer in the request */
  previousDigest: string | null
}

export type ExchangeBodies = Pick<ExchangeRecord, 'prompt' | 'answer' | 'toolCalls' | 'parameters'>

const COLUMNS = `
  id, started_at AS "startedAt", caller_id AS "callerId", caller_name AS "callerName", project_id AS "projectId",
  end_user AS "endUser", session, conversation_id AS "conversationId", previous_id AS "previousId", tags, metadata,
  method, route, requested_model AS "requestedModel", model, version, upstream, deployment::float8 AS deployment, attempt_count AS "attemptCount", attempts,
  streamed, finish_reasons AS "finishReasons", prompt_tokens AS "promptTokens", cached_tokens AS "cachedTokens",
  completion_tokens AS "completionTokens", is_usage_estimated AS "isUsageEstimated", cost_usd::float8 AS "costUsd", cache,
  queue_ms AS "queueMs", prefill_ms AS "prefillMs", decode_ms AS "decodeMs",
  time_to_first_token_ms AS "timeToFirstTokenMs", inter_token_ms AS "interTokenMs", overhead_ms AS "overheadMs",
  total_ms AS "totalMs", outcome, status, error_code AS "errorCode", error_message AS "errorMessage",
  is_stored AS "isStored", encode(digest, 'hex') AS digest, encode(previous_digest, 'hex') AS "previousDigest"`

/** @returns those that are there, in the order of the ids */
export async function readExchanges(db: Queryable, ids: readonly string[]): Promise<ExchangeRow[]> {
  if (ids.length === 0) return []
  const { rows } = await db.query<ExchangeRow>(
    `SELECT ${COLUMNS} FROM exchanges WHERE id = ANY($1::uuid[]) AND ${daysOf(ids)}`,
    [ids],
  )
  return inOrder(rows, ids)
}

/** @returns texts by id; none where none were kept, or they were dropped */
export async function readBodies(
  db: Queryable,
  ids: readonly string[],
): Promise<Map<string, ExchangeBodies>> {
  if (ids.length === 0) return new Map()
  const { rows } = await db.query<ExchangeBodies & { id: string; text: string | null }>(
    `SELECT id, prompt, answer, tool_calls AS "toolCalls", parameters, text
     FROM exchange_bodies LEFT JOIN system_prompts ON digest = system_prompt
     WHERE id = ANY($1::uuid[]) AND ${daysOf(ids)}`,
    [ids],
  )
  return new Map(
    rows.map(({ id, text, ...bodies }) => [
      id,
      text === null ? bodies : { ...bodies, ...joinSystemPrompt(bodies, text) },
    ]),
  )
}

/** So that only their days' partitions are planned for; of ids in a parameter the planner sees none. */
export function daysOf(ids: readonly string[], column = 'id'): string {
  const times = ids.map(timeOfId)
  const low = lowestIdAt(Math.min(...times))
  const high = lowestIdAt(Math.max(...times) + 1)
  return `${column} >= '${low}' AND ${column} < '${high}'`
}

function inOrder<Row extends { id: string }>(rows: Row[], ids: readonly string[]): Row[] {
  const byId = new Map(rows.map((row) => [row.id, row]))
  return ids.flatMap((id) => byId.get(id) ?? [])
}
