// The table of exchanges: rows as JSON text in, one statement for a batch of any size.
//
// A record becomes text once, when it is handed over: what waits in memory is then exactly as large as it is counted,
// and holds nothing of the request alive.
//
// Knows: columns. Does not know: when rows are written.

import type { Queryable } from './pool.ts'
import type { ExchangeRecord } from '../exchange.ts'

/** One row, as the JSON object that INSERT_EXCHANGES reads. */
export function encodeExchange(record: ExchangeRecord): string {
  try {
    return encode(record)
  } catch {
    // A body nested ten thousand levels deep overflows the stack of whoever writes it. The row is worth having anyway.
    return encode({ ...record, prompt: null, parameters: null })
  }
}

/** Rows that are there already stay as they are: a batch may be written again when its answer was lost. */
export async function insertExchanges(db: Queryable, rows: string[]): Promise<void> {
  await db.query(INSERT_EXCHANGES, [`[${rows.join(',')}]`])
}

const INSERT_EXCHANGES = `
  INSERT INTO exchanges (
    id, started_at, closed_at, caller_id, caller_name, project_id, method, route, requested_model, model, version,
    upstream, attempts, streamed, prompt, answer, tool_calls, parameters, finish_reasons, prompt_tokens,
    cached_tokens, completion_tokens, is_usage_estimated, cost_usd, cache, queue_ms, prefill_ms, decode_ms,
    time_to_first_token_ms, overhead_ms, total_ms, outcome, status, error_code, error_message
  )
  SELECT
    id, "startedAt", "closedAt", "callerId", "callerName", "projectId", method, route, "requestedModel", model, version,
    upstream, attempts, streamed, prompt, answer, "toolCalls", parameters, "finishReasons", "promptTokens",
    "cachedTokens", "completionTokens", "isUsageEstimated", "costUsd", cache, "queueMs", "prefillMs", "decodeMs",
    "timeToFirstTokenMs", "overheadMs", "totalMs", outcome, status, "errorCode", "errorMessage"
  FROM json_to_recordset($1) AS record (
    id uuid, "startedAt" timestamptz, "closedAt" timestamptz, "callerId" uuid, "callerName" text, "projectId" uuid,
    method text, route text, "requestedModel" text, model text, version text, upstream text, attempts jsonb,
    streamed boolean, prompt jsonb, answer text[], "toolCalls" jsonb, parameters jsonb, "finishReasons" text[],
    "promptTokens" integer, "cachedTokens" integer, "completionTokens" integer, "isUsageEstimated" boolean,
    "costUsd" float8, cache text, "queueMs" float8, "prefillMs" float8, "decodeMs" float8,
    "timeToFirstTokenMs" float8, "overheadMs" float8, "totalMs" float8, outcome text, status integer,
    "errorCode" text, "errorMessage" text
  )
  ON CONFLICT (id) DO NOTHING`

function encode(record: ExchangeRecord): string {
  const json = JSON.stringify(record)
  // PostgreSQL's text holds neither NUL nor half a surrogate pair, which JSON writes as these escapes. Every escape is
  // matched, so that a backslash that is itself escaped is never taken for the start of one.
  if (!json.includes('\\u0000') && !json.includes('\\ud')) return json
  return json.replace(/\\(u0000|ud[0-9a-f]{3}|.)/g, (escape, code: string) =>
    code.length > 1 ? '\\ufffd' : escape,
  )
}
