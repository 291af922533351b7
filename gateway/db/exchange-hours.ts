// Tables `exchange_hours` and its roll-ups: sums of an hour, for budgets and dashboards.
//
// Whoever writes rows adds them up first and adds the sums in the same transaction: what is in the rows is in the hours,
// once, and no request updates a counter. Answers that were given again took no tokens, and none are counted for them. Roll-ups are the same sums without some of the key, so that a question about
// callers, or about models, reads hundreds of rows where the whole key has hundreds of thousands.

import { NULL, readCopiedText, readCopiedTexts } from './copy.ts'
import type { Queryable } from './pool.ts'

/** Of a row of `exchanges`, in the order in which HourSums.add() takes them. */
export const HOUR_COLUMNS = [
  'started_at',
  'caller_id',
  'project_id',
  'model',
  'version',
  'upstream',
  'caller_name',
  'tags',
  'cache',
  'prompt_tokens',
  'cached_tokens',
  'completion_tokens',
  'cost_usd',
  'outcome',
  'total_ms',
  'time_to_first_token_ms',
] as const

const KEY_COLUMNS = 6
const HOUR_CHARACTERS = '2026-11-21T10'.length
const NANO = 1e9
const BUCKETS = 48

/** The names are those of the columns. */
interface Key {
  hour: string
  caller_id: string
  project_id: string
  model: string
  version: string
  upstream: string
  tag: string
}

interface Sums extends Key {
  callerName: string | null
  requests: number
  cancelled: number
  failed: number
  refused: number
  prompt: number
  cached: number
  completion: number
  /** billionths of a dollar, so that sums are exact */
  nanoDollars: number
  total: number[]
  first: number[]
}

const NOTHING: Key = {
  hour: '',
  caller_id: '',
  project_id: '',
  model: '',
  version: '',
  upstream: '',
  tag: '',
}

interface RollUp {
  table: string
  /** its primary key */
  key: (keyof Key)[]
  hasCallerName?: boolean
}

const WHOLE: RollUp = {
  table: 'exchange_hours',
  key: ['hour', 'caller_id', 'project_id', 'model', 'version', 'upstream'],
}
const ROLL_UPS: RollUp[] = [
  WHOLE,
  {
    table: 'exchange_caller_hours',
    key: ['caller_id', 'hour', 'project_id'],
    hasCallerName: true,
  },
  {
    table: 'exchange_model_hours',
    key: ['project_id', 'hour', 'model', 'version', 'upstream'],
  },
]
const BY_TAG: RollUp = { table: 'exchange_tag_hours', key: ['project_id', 'hour', 'tag'] }

/** Rows of one batch, added up. */
export class HourSums {
  readonly #sums = new Map<string, Sums>()
  readonly #tagged = new Map<string, Sums>()

  /** @param fields the values of HOUR_COLUMNS, as COPY reads them */
  add(fields: readonly string[]): void {
    const [at = '', ...rest] = fields
    const hour = at.slice(0, HOUR_CHARACTERS)
    const key = `${hour}\t${rest.slice(0, KEY_COLUMNS - 1).join('\t')}`
    let sums = this.#sums.get(key)
    if (!sums) this.#sums.set(key, (sums = emptySums(keyOf(hour, rest))))
    const values = rest.slice(KEY_COLUMNS - 1)
    const [name = NULL, tags = NULL] = values
    if (name !== NULL) sums.callerName = readCopiedText(name)
    addRow(sums, values)
    if (tags === NULL) return
    const { project_id } = sums
    for (const tag of new Set(readCopiedTexts(tags))) {
      const key = `${project_id}\t${hour}\t${tag}`
      let tagged = this.#tagged.get(key)
      if (!tagged) {
        tagged = emptySums({ ...NOTHING, hour: sums.hour, project_id, tag })
        this.#tagged.set(key, tagged)
      }
      addRow(tagged, values)
    }
  }

  /** Of each table its rows, in the order of its key: two gateways never wait for each other. */
  get rows(): [RollUp, Sums[]][] {
    const whole = [...this.#sums.values()]
    const rolledUp = ROLL_UPS.map((table): [RollUp, Sums[]] => [
      table,
      table === WHOLE ? whole : rollUp(whole, table.key),
    ])
    if (this.#tagged.size > 0) rolledUp.push([BY_TAG, [...this.#tagged.values()]])
    for (const [{ key }, sums] of rolledUp) sums.sort((a, b) => compare(a, b, key))
    return rolledUp
  }
}

/** '' stands for what isn't known. */
function keyOf(hour: string, fields: readonly string[]): Key {
  const [caller = NULL, project = NULL, model = NULL, version = NULL, upstream = NULL] = fields
  const read = (field: string) => (field === NULL ? '' : readCopiedText(field))
  return {
    hour: `${hour}:00:00Z`,
    caller_id: read(caller),
    project_id: read(project),
    model: read(model),
    version: read(version),
    upstream: read(upstream),
    tag: '',
  }
}

function emptySums(key: Key): Sums {
  return {
    ...key,
    callerName: null,
    requests: 0,
    cancelled: 0,
    failed: 0,
    refused: 0,
    prompt: 0,
    cached: 0,
    completion: 0,
    nanoDollars: 0,
    total: [],
    first: [],
  }
}

/** @param values those of HOUR_COLUMNS behind the key */
function addRow(sums: Sums, values: readonly string[]): void {
  const [, , cache, prompt, cached, completion, cost, outcome, totalMs, firstMs] = values
  sums.requests++
  if (outcome === 'cancelled' || outcome === 'failed' || outcome === 'refused') sums[outcome]++
  // As budgets have it.
  if (cache !== 'hit') {
    sums.prompt += numberOf(prompt)
    sums.cached += numberOf(cached)
    sums.completion += numberOf(completion)
  }
  sums.nanoDollars += Math.round(numberOf(cost) * NANO)
  if (outcome !== 'completed') return
  count(sums.total, totalMs)
  count(sums.first, firstMs)
}

function numberOf(field: string | undefined): number {
  return field === undefined || field === NULL ? 0 : Number(field)
}

/** Two buckets for each doubling. */
function bucketOf(ms: number): number {
  return ms <= 1 ? 0 : Math.min(BUCKETS - 1, Math.ceil(2 * Math.log2(ms)))
}

function count(counts: number[], field: string | undefined): void {
  if (field === undefined || field === NULL) return
  const bucket = bucketOf(Number(field))
  while (counts.length <= bucket) counts.push(0)
  counts[bucket]!++
}

function rollUp(whole: readonly Sums[], names: readonly (keyof Key)[]): Sums[] {
  const rolledUp = new Map<string, Sums>()
  for (const sums of whole) {
    const key = names.map((name) => sums[name]).join('\t')
    const known = rolledUp.get(key)
    // Other fields of the key are the first one's, and never written.
    if (known) addSums(known, sums)
    else rolledUp.set(key, { ...sums, total: [...sums.total], first: [...sums.first] })
  }
  return [...rolledUp.values()]
}

function addSums(sums: Sums, more: Sums): void {
  for (const name of ADDED) sums[name] += more[name]
  sums.callerName = more.callerName ?? sums.callerName
  for (const name of ['total', 'first'] as const) {
    const counts = sums[name]
    more[name].forEach((n, bucket) => {
      while (counts.length <= bucket) counts.push(0)
      counts[bucket]! += n
    })
  }
}

function compare(a: Sums, b: Sums, key: readonly (keyof Key)[]): number {
  const name = key.find((name) => a[name] !== b[name])
  return name === undefined ? 0 : a[name] < b[name] ? -1 : 1
}

export async function addHours(db: Queryable, hours: HourSums): Promise<void> {
  for (const [table, sums] of hours.rows) {
    const rows = sums.map(({ nanoDollars, ...row }) => ({
      ...row,
      usd: (nanoDollars / NANO).toFixed(9),
    }))
    await db.query(additionTo(table), [JSON.stringify(rows)])
  }
}

const ADDED = [
  'requests',
  'cancelled',
  'failed',
  'refused',
  'prompt',
  'cached',
  'completion',
  'nanoDollars',
] as const
const SUMMED =
  'requests cancelled failed refused prompt_tokens cached_tokens completion_tokens cost_usd'.split(
    ' ',
  )
const COUNTED = ['total_ms_counts', 'time_to_first_token_ms_counts']

function additionTo({ table, key, hasCallerName = false }: RollUp): string {
  const named = hasCallerName ? ['caller_name'] : []
  const columns = [...key, ...named, ...SUMMED, ...COUNTED]
  const given = [...key, ...(hasCallerName ? ['"callerName"'] : [])]
  return `
    INSERT INTO ${table} AS hours (${columns.join(', ')})
    SELECT
      ${given.join(', ')}, requests, cancelled, failed, refused, prompt, cached, completion, usd, total, first
    FROM json_to_recordset($1) AS batch (
      hour timestamptz, caller_id text, project_id text, model text, version text, upstream text, tag text,
      "callerName" text, requests bigint, cancelled bigint, failed bigint, refused bigint, prompt bigint,
      cached bigint, completion bigint, usd numeric, total bigint[], first bigint[]
    )
    ON CONFLICT (${key.join(', ')}) DO UPDATE SET
      ${[
        ...named.map((name) => `${name} = coalesce(excluded.${name}, hours.${name})`),
        ...SUMMED.map((name) => `${name} = hours.${name} + excluded.${name}`),
        ...COUNTED.map((name) => `${name} = add_counts(hours.${name}, excluded.${name})`),
      ].join(',\n      ')}`
}
