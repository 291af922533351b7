// Exchanges that their callers asked to be stored, read back by their owner: rows of the exchange log, and nothing else.
//
// Knows: SQL. Does not know: how a completion looks on the wire.

import { recordChange } from './audit.ts'
import { paged } from './page.ts'
import { inTransaction } from './transaction.ts'
import type { Actor } from './audit.ts'
import type { Page, Paged } from './page.ts'
import type { Pool, Queryable } from './pool.ts'
import type { ToolCall } from '../backends/conversation.ts'

export interface StoredCompletion {
  id: string
  startedAt: Date
  requestedModel: string | null
  version: string | null
  metadata: Record<string, string> | null
  finishReasons: string[] | null
  promptTokens: number | null
  cachedTokens: number | null
  completionTokens: number | null
  /** as it is kept: see db/system-prompts.ts */
  prompt: unknown
  systemPrompt: string | null
  answer: string[] | null
  toolCalls: ToolCall[][] | null
  parameters: Record<string, unknown> | null
}

export interface StoredFilter {
  /** as it was asked for, or what answered: a model or a version */
  model?: string
  /** all of these */
  metadata?: Record<string, string>
  order: 'asc' | 'desc'
}

/** of a project's id, a key's, or of none: the holder of the admin key. As in the index. */
export const NO_OWNER = '00000000-0000-0000-0000-000000000000'
const OWNER = `coalesce(exchanges.project_id, exchanges.caller_id, '${NO_OWNER}')`

// Where no text is kept any more, nothing is stored.
const SELECT = `
  SELECT exchanges.id, started_at AS "startedAt", requested_model AS "requestedModel", version, metadata,
         finish_reasons AS "finishReasons", prompt_tokens AS "promptTokens",
         cached_tokens AS "cachedTokens", completion_tokens AS "completionTokens",
         prompt, system_prompts.text AS "systemPrompt", answer, tool_calls AS "toolCalls", parameters
  FROM exchanges
  JOIN exchange_bodies ON exchange_bodies.id = exchanges.id
  LEFT JOIN system_prompts ON system_prompts.digest = exchange_bodies.system_prompt`

export async function findStored(
  db: Queryable,
  owner: string,
  id: string,
): Promise<StoredCompletion | null> {
  const { rows } = await db.query<StoredCompletion>(
    `${SELECT} WHERE exchanges.id = $1 AND is_stored AND ${OWNER} = $2`,
    [id, owner],
  )
  return rows[0] ?? null
}

export async function listStored(
  db: Queryable,
  owner: string,
  { model, metadata, order }: StoredFilter,
  page: Page,
): Promise<Paged<StoredCompletion>> {
  const [beyond, direction] = order === 'asc' ? ['>', 'ASC'] : ['<', 'DESC']
  const { rows } = await db.query<StoredCompletion>(
    `${SELECT}
     WHERE is_stored AND ${OWNER} = $1
       AND ($2::text IS NULL OR requested_model = $2 OR model = $2 OR version = $2)
       AND ($3::jsonb IS NULL OR metadata @> $3)
       AND ($4::uuid IS NULL OR exchanges.id ${beyond} $4)
     ORDER BY exchanges.id ${direction} LIMIT $5`,
    [owner, model, metadata && JSON.stringify(metadata), page.after, page.limit + 1],
  )
  return paged(rows, page)
}

/** @returns whether it is there */
export async function updateStoredMetadata(
  db: Queryable,
  owner: string,
  id: string,
  metadata: Record<string, string> | null,
): Promise<boolean> {
  const { rowCount } = await db.query(
    `UPDATE exchanges SET metadata = $3 WHERE id = $1 AND is_stored AND ${OWNER} = $2`,
    [id, owner, metadata && JSON.stringify(metadata)],
  )
  return rowCount === 1
}

/** Its texts go, its figures stay; the audit log says who did it. @returns whether it was there */
export function deleteStored(
  pool: Pool,
  owner: string,
  id: string,
  actor: Actor,
): Promise<boolean> {
  return inTransaction(pool, async (transaction) => {
    const { rowCount } = await transaction.query(
      `UPDATE exchanges SET is_stored = false WHERE id = $1 AND is_stored AND ${OWNER} = $2`,
      [id, owner],
    )
    if (rowCount !== 1) return false
    await transaction.query('DELETE FROM exchange_bodies WHERE id = $1', [id])
    await recordChange(transaction, actor, {
      action: 'exchange.delete_texts',
      kind: 'exchange',
      id,
      name: id,
      before: null,
      after: null,
    })
    return true
  })
}
