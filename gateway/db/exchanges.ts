// The tables of exchanges: a record becomes lines for COPY once, when it closes; a batch of them becomes rows.
//
// What is kept on the way is text that PostgreSQL reads as it is. Its columns are told beside it, so that what an older
// release left behind is written all the same.
//
//   line 1   the row of `exchanges`
//   line 2   the row of `exchange_bodies`, or nothing where no text is kept
//   line 3   a system prompt that may not be there yet, as JSON: [digest, text]; or nothing
//
// Knows: columns. Does not know: when rows are written, where they wait.

import { setImmediate } from 'node:timers/promises'

import type pg from 'pg'

import {
  copyBytes,
  copyFlag,
  copyInto,
  copyJson,
  copyNumber,
  copyText,
  copyTexts,
  NULL,
} from './copy.ts'
import { insertArrival } from './exchange-arrivals.ts'
import { addHours, HOUR_COLUMNS, HourSums } from './exchange-hours.ts'
import { separateSystemPrompt, upsertSystemPrompts } from './system-prompts.ts'
import type { SystemPrompts } from './system-prompts.ts'
import type { ExchangeRecord } from '../exchange/exchange-record.ts'
import { timeOfId } from './partitions.ts'

type Column = [name: string, read: (record: ExchangeRecord) => string]

const COLUMNS: Column[] = [
  ['id', ({ id }) => id],
  ['started_at', ({ startedAt }) => startedAt.toISOString()],
  ['caller_id', ({ callerId }) => callerId ?? NULL],
  ['caller_name', ({ callerName }) => copyText(callerName)],
  ['project_id', ({ projectId }) => projectId ?? NULL],
  ['end_user', ({ endUser }) => copyText(endUser)],
  ['session', ({ session }) => copyText(session)],
  ['conversation_id', ({ conversationId }) => conversationId ?? NULL],
  ['previous_id', ({ previousId }) => previousId ?? NULL],
  ['tags', ({ tags }) => copyTexts(tags)],
  ['metadata', ({ metadata }) => copyJson(metadata)],
  ['method', ({ method }) => method],
  ['route', ({ route }) => copyText(route)],
  ['requested_model', ({ requestedModel }) => copyText(requestedModel)],
  ['model', ({ model }) => copyText(model)],
  ['version', ({ version }) => copyText(version)],
  ['upstream', ({ upstream }) => copyText(upstream)],
  ['deployment', ({ deployment }) => copyNumber(deployment)],
  ['attempt_count', ({ attempts }) => String(attempts.length)],
  [
    'attempts',
    ({ attempts }) => copyJson(attempts.some(({ error }) => error !== null) ? attempts : null),
  ],
  ['streamed', ({ streamed }) => copyFlag(streamed)],
  ['finish_reasons', ({ finishReasons }) => copyTexts(finishReasons)],
  ['is_declined', ({ isDeclined }) => (isDeclined ? copyFlag(true) : NULL)],
  ['prompt_tokens', ({ promptTokens }) => copyNumber(promptTokens)],
  ['cached_tokens', ({ cachedTokens }) => copyNumber(cachedTokens)],
  ['completion_tokens', ({ completionTokens }) => copyNumber(completionTokens)],
  ['is_usage_estimated', ({ isUsageEstimated }) => copyFlag(isUsageEstimated)],
  ['cost_usd', ({ costUsd }) => (costUsd === null ? NULL : costUsd.toFixed(9))],
  ['cache', ({ cache }) => cache ?? NULL],
  ['queue_ms', ({ queueMs }) => copyMs(queueMs)],
  ['prefill_ms', ({ prefillMs }) => copyMs(prefillMs)],
  ['decode_ms', ({ decodeMs }) => copyMs(decodeMs)],
  ['time_to_first_token_ms', ({ timeToFirstTokenMs }) => copyMs(timeToFirstTokenMs)],
  ['inter_token_ms', ({ interTokenMs }) => copyMs(interTokenMs)],
  ['overhead_ms', ({ overheadMs }) => copyMs(overheadMs)],
  ['total_ms', ({ totalMs }) => copyMs(totalMs)],
  ['outcome', ({ outcome }) => outcome],
  ['status', ({ status }) => String(status)],
  ['error_code', ({ errorCode }) => copyText(errorCode)],
  ['error_message', ({ errorMessage }) => copyText(errorMessage)],
  ['is_stored', ({ isStored }) => copyFlag(isStored)],
  ['digest', ({ digest }) => copyBytes(digest)],
  ['previous_digest', ({ previousDigest }) => copyBytes(previousDigest)],
]

const BODY_COLUMNS = ['id', 'prompt', 'system_prompt', 'answer', 'tool_calls', 'parameters']

/** Of lines that this release encodes. */
export interface Heading {
  exchanges: string[]
  bodies: string[]
}

export const HEADING: Heading = {
  exchanges: COLUMNS.map(([name]) => name),
  bodies: BODY_COLUMNS,
}

/** To a hundredth of a millisecond, which is more than any clock here is good for. */
function copyMs(ms: number | null): string {
  return ms === null ? NULL : String(Math.round(ms * 100) / 100)
}

/** The record as lines for COPY, without a line end behind the last one. */
export function encodeExchange(record: ExchangeRecord, systemPrompts: SystemPrompts): string {
  let row = COLUMNS[0]![1](record)
  for (let i = 1; i < COLUMNS.length; i++) row += '\t' + COLUMNS[i]![1](record)
  return `${row}\n${encodeBodies(record, systemPrompts)}`
}

function encodeBodies(record: ExchangeRecord, systemPrompts: SystemPrompts): string {
  const { id, answer, toolCalls } = record
  const { prompt, parameters, text } = separateSystemPrompt(record)
  if (prompt === null && parameters === null && answer === null && toolCalls === null) return '\n'
  const known = text === null ? null : systemPrompts.tell(text)
  const digest = known === null ? NULL : String.raw`\\x` + known.digest
  let bodies
  try {
    bodies = [
      copyJson(prompt),
      digest,
      copyTexts(answer),
      copyJson(toolCalls),
      copyJson(parameters),
    ]
  } catch {
    // A body nested ten thousand levels deep overflows the stack of whoever writes it. The rest is worth having anyway.
    bodies = [NULL, digest, copyTexts(answer), copyJson(toolCalls), NULL]
  }
  const news = known?.isNew ? JSON.stringify([known.digest, text]) : ''
  return `${id}\t${bodies.join('\t')}\n${news}`
}

/** A batch of encoded exchanges, taken apart into what goes to each table. */
interface Lines {
  rows: Buffer[]
  bodies: Buffer[]
  systemPrompts: Map<string, string>
  hours: HourSums
}

const ID_CHARACTERS = 36
/** a few tenths of a millisecond */
const RECORDS_AT_ONCE = 32

/**
 * Writes them in the transaction that is open.
 * @param payloads as encodeExchange() made them, in UTF-8
 */
export async function writeExchanges(
  client: pg.ClientBase,
  heading: Heading,
  payloads: readonly Buffer[],
): Promise<void> {
  const lines = await takeApart(heading, payloads)
  await copyInto(client, 'exchanges', heading.exchanges, Buffer.concat(lines.rows))
  if (lines.bodies.length > 0) {
    await copyInto(client, 'exchange_bodies', heading.bodies, Buffer.concat(lines.bodies))
  }
  if (lines.systemPrompts.size > 0) await upsertSystemPrompts(client, lines.systemPrompts)
  await addHours(client, lines.hours)
  await insertArrival(client, payloads.map(idOf))
}

/** @returns those whose rows are not there yet */
export async function withoutKnown(
  client: pg.ClientBase,
  payloads: readonly Buffer[],
): Promise<Buffer[]> {
  const { rows } = await client.query<{ id: string }>(
    'SELECT id FROM exchanges WHERE id = ANY($1::uuid[])',
    [payloads.map(idOf)],
  )
  const known = new Set(rows.map(({ id }) => id))
  const missing = new Map<string, Buffer>()
  for (const payload of payloads) {
    const id = idOf(payload)
    if (!known.has(id)) missing.set(id, payload)
  }
  return [...missing.values()]
}

export function idOf(payload: Buffer): string {
  return payload.toString('latin1', 0, ID_CHARACTERS)
}

/** @returns milliseconds since 1970 when it began */
export function timeOf(payload: Buffer): number {
  return timeOfId(idOf(payload))
}

async function takeApart(
  { exchanges: columns }: Heading,
  payloads: readonly Buffer[],
): Promise<Lines> {
  const places = HOUR_COLUMNS.map((name) => columns.indexOf(name))
  const lines: Lines = {
    rows: [],
    bodies: [],
    systemPrompts: new Map(),
    hours: new HourSums(),
  }
  for (const [at, payload] of payloads.entries()) {
    // Requests are answered in between.
    if (at % RECORDS_AT_ONCE === RECORDS_AT_ONCE - 1) await setImmediate()
    const rowEnd = payload.indexOf(10)
    const bodiesEnd = payload.indexOf(10, rowEnd + 1)
    lines.rows.push(payload.subarray(0, rowEnd + 1))
    if (bodiesEnd > rowEnd + 1) lines.bodies.push(payload.subarray(rowEnd + 1, bodiesEnd + 1))
    if (bodiesEnd + 1 < payload.length) {
      const [digest, text] = JSON.parse(payload.toString('utf8', bodiesEnd + 1)) as [string, string]
      lines.systemPrompts.set(digest, text)
    }
    const fields = payload.toString('utf8', 0, rowEnd).split('\t')
    lines.hours.add(places.map((place) => fields[place] ?? NULL))
  }
  return lines
}
