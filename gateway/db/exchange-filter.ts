// Which exchanges are meant: what a reader filters by, as a condition on the table's own columns.
//
// Knows: columns. Does not know: who asks, pages, what becomes of the rows.

export interface ExchangeFilter {
  /** from this time on */
  from?: Date
  /** before this time */
  to?: Date
  /** as it answered, not as it was asked for */
  model?: string
  version?: string
  /** id or name */
  caller?: string
  /** id or name */
  project?: string
  endUser?: string
  session?: string
  conversation?: string
  /** that all of them have */
  tags?: string[]
  outcome?: string
}

interface Condition {
  /** to be followed by AND; `true` where everything is meant */
  sql: string
  /** of $1, $2, … in it */
  values: unknown[]
}

/** Time is not in it: a range of time is a range of ids, and whoever reads goes through ids. */
export function whereOf(filter: ExchangeFilter): Condition {
  const values: unknown[] = []
  const conditions: string[] = []
  const add = (value: unknown, condition: (place: string) => string) => {
    if (value === undefined) return
    values.push(value)
    conditions.push(condition(`$${values.length}`))
  }
  add(filter.model, (place) => `model = ${place}`)
  add(filter.version, (place) => `version = ${place}`)
  add(filter.caller, (place) => `(caller_id::text = ${place} OR caller_name = ${place})`)
  add(
    filter.project,
    (place) => `project_id IN (SELECT id FROM projects WHERE ${place} IN (id::text, name))`,
  )
  add(filter.endUser, (place) => `end_user = ${place}`)
  add(filter.session, (place) => `session = ${place}`)
  add(filter.conversation, (place) => `conversation_id::text = ${place}`)
  add(filter.tags, (place) => `tags @> ${place}::text[]`)
  add(filter.outcome, (place) => `outcome = ${place}`)
  return { sql: conditions.join(' AND ') || 'true', values }
}
