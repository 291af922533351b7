// What the tables have of one end user: read to be handed out, and erased.
//
// Erasing takes texts and names away and leaves figures: what was used and what it cost stays true. It goes through the
// exchanges a thousand at a time, each a transaction of its own, so that nobody else waits for all of them; whoever is
// interrupted asks again.
//
// Knows: SQL, which columns have texts. Does not know: pseudonyms, who asks.

import { inTransaction } from './transaction.ts'
import type { Pool, Queryable } from './pool.ts'

/** One end user, as far as one project's callers mean the same by the name. */
export interface EndUserSelection {
  /** that rows have: the name itself, and what stands for it where it may not be kept */
  names: string[]
  /** null: all projects', and callers' without one */
  projectId: string | null
}

export interface Erased {
  exchanges: number
  /** of them those whose texts were there */
  texts: number
  responses: number
  feedback: number
}

const BATCH = 1000
const NONE = '00000000-0000-0000-0000-000000000000'

const WHERE = 'end_user = ANY($1::text[]) AND ($2::uuid IS NULL OR project_id = $2)'

export async function eraseEndUser(pool: Pool, selection: EndUserSelection): Promise<Erased> {
  const total: Erased = { exchanges: 0, texts: 0, responses: 0, feedback: 0 }
  const { names, projectId } = selection
  for (;;) {
    const erased = await inTransaction(pool, async (transaction) => {
      const { rows } = await transaction.query<{ id: string }>(
        `SELECT id FROM exchanges WHERE ${WHERE} ORDER BY id LIMIT ${BATCH} FOR UPDATE`,
        [names, projectId],
      )
      return eraseExchanges(
        transaction,
        rows.map(({ id }) => id),
      )
    })
    for (const kind of ['exchanges', 'texts', 'responses', 'feedback'] as const) {
      total[kind] += erased[kind]
    }
    if (erased.exchanges < BATCH) break
  }
  // What they said of exchanges that were for somebody else, or that are gone.
  total.feedback += await anonymiseFeedback(pool, WHERE, [names, projectId])
  return total
}

async function eraseExchanges(transaction: Queryable, ids: string[]): Promise<Erased> {
  const deleteFrom = async (table: string) => {
    const { rowCount } = await transaction.query(
      `DELETE FROM ${table} WHERE id = ANY($1::uuid[])`,
      [ids],
    )
    return rowCount ?? 0
  }
  const texts = await deleteFrom('exchange_bodies')
  await deleteFrom('exchange_words')
  const responses = await deleteFrom('responses')
  const feedback = await anonymiseFeedback(transaction, 'exchange_id = ANY($1::uuid[])', [ids])
  await transaction.query(
    'UPDATE shadow_answers SET answer = NULL WHERE exchange_id = ANY($1::uuid[]) AND answer IS NOT NULL',
    [ids],
  )
  await transaction.query(
    'UPDATE scores SET comment = NULL WHERE exchange_id = ANY($1::uuid[]) AND comment IS NOT NULL',
    [ids],
  )
  const { rowCount } = await transaction.query(
    `UPDATE exchanges SET
       end_user = NULL, session = NULL, tags = NULL, metadata = NULL, error_message = NULL, is_stored = false,
       digest = NULL, previous_digest = NULL,
       attempts = (
         SELECT jsonb_agg(jsonb_set(attempt, '{detail}', 'null') ORDER BY place)
         FROM jsonb_array_elements(attempts) WITH ORDINALITY AS tried (attempt, place)
       )
     WHERE id = ANY($1::uuid[])`,
    [ids],
  )
  return { exchanges: rowCount ?? 0, texts, responses, feedback }
}

/** Thumbs and scores are figures; words and who said them are not. */
async function anonymiseFeedback(
  db: Queryable,
  condition: string,
  values: unknown[],
): Promise<number> {
  const { rowCount } = await db.query(
    `UPDATE feedback SET
       giver = 'erased:' || id, end_user = CASE WHEN end_user IS NOT NULL THEN '' END, comment = NULL, correction = NULL
     WHERE (${condition}) AND giver NOT LIKE 'erased:%'`,
    values,
  )
  return rowCount ?? 0
}

/** As JSON texts, oldest first: the exchanges with their texts, then what a shadow answered, then what was kept to be continued, then opinions. */
export async function* readEndUser(
  db: Queryable,
  { names, projectId }: EndUserSelection,
): AsyncGenerator<string> {
  for (const query of [EXCHANGES, SHADOWS, RESPONSES, FEEDBACK]) {
    let after = NONE
    for (;;) {
      const { rows } = await db.query<{ id: string; line: string }>(query, [
        names,
        projectId,
        after,
      ])
      for (const { line } of rows) yield line
      const last = rows.at(-1)
      if (!last) break
      after = last.id
    }
  }
}

/** with texts, some megabytes at most */
const PAGE = 100

const EXCHANGES = `
  SELECT e.id, row_to_json(told)::text AS line
  FROM exchanges e
  LEFT JOIN exchange_bodies b ON b.id = e.id
  LEFT JOIN system_prompts s ON s.digest = b.system_prompt
  CROSS JOIN LATERAL (
    SELECT
      'exchange' AS object, e.id, e.started_at, e.caller_name, e.project_id, e.end_user, e.session,
      e.conversation_id, e.previous_id, e.tags, e.metadata, e.route, e.requested_model, e.model, e.version,
      e.prompt_tokens, e.completion_tokens, e.cost_usd, e.outcome, e.status, e.error_code, e.error_message,
      s.text AS system_prompt, b.prompt, b.answer, b.tool_calls, b.parameters
  ) AS told
  WHERE e.end_user = ANY($1::text[]) AND ($2::uuid IS NULL OR e.project_id = $2) AND e.id > $3
  ORDER BY e.id LIMIT ${PAGE}`

const SHADOWS = `
  SELECT s.exchange_id AS id, row_to_json(told)::text AS line
  FROM (SELECT id FROM exchanges WHERE ${WHERE} AND id > $3 ORDER BY id) AS e
  JOIN exchange_bodies b ON b.id = e.id
  JOIN shadow_answers s ON s.exchange_id = e.id AND s.answer IS NOT NULL
  CROSS JOIN LATERAL (
    SELECT 'shadow_answer' AS object, s.exchange_id, s.version, s.answer
  ) AS told
  ORDER BY s.exchange_id LIMIT ${PAGE}`

const RESPONSES = `
  SELECT r.id, row_to_json(told)::text AS line
  FROM (SELECT id FROM exchanges WHERE ${WHERE} AND id > $3 ORDER BY id) AS e
  JOIN responses r ON r.id = e.id
  CROSS JOIN LATERAL (
    SELECT 'response' AS object, r.id, r.created_at, r.expires_at, r.head, r.input, r.output
  ) AS told
  ORDER BY r.id LIMIT ${PAGE}`

const FEEDBACK = `
  SELECT f.id, row_to_json(told)::text AS line
  FROM feedback f
  CROSS JOIN LATERAL (
    SELECT
      'feedback' AS object, f.id, f.exchange_id, f.end_user, f.thumb, f.score, f.comment, f.correction, f.given_at,
      f.updated_at
  ) AS told
  WHERE f.end_user = ANY($1::text[]) AND ($2::uuid IS NULL OR f.project_id = $2) AND f.id > $3
  ORDER BY f.id LIMIT ${PAGE}`
