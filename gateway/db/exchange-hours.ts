// Table `exchange_hours`: sums of an hour, for budgets and dashboards.
//
// Whoever writes rows adds them up first and adds the sums in the same transaction: what is in the rows is in the hours,
// once, and no request updates a counter.

import { NULL } from './copy.ts'
import type { Queryable } from './pool.ts'

/** Of a row of `exchanges`, in the order in which HourSums.add() takes them. */
export const HOUR_COLUMNS = [
  'started_at',
  'caller_id',
  'project_id',
  'model',
  'version',
  'upstream',
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

interface Sums {
  hour: string
  caller: string
  project: string
  model: string
  version: string
  upstream: string
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

/** Rows of one batch, added up. */
export class HourSums {
  readonly #sums = new Map<string, Sums>()

  /** @param fields the values of HOUR_COLUMNS, as COPY reads them */
  add(fields: readonly string[]): void {
    const [at = '', ...rest] = fields
    const hour = at.slice(0, HOUR_CHARACTERS)
    const key = `${hour}\t${rest.slice(0, KEY_COLUMNS - 1).join('\t')}`
    let sums = this.#sums.get(key)
    if (!sums) this.#sums.set(key, (sums = emptySums(hour, rest.map(unescape))))
    const [, , , , , prompt, cached, completion, cost, outcome, totalMs, firstMs] = rest
    sums.requests++
    if (outcome === 'cancelled' || outcome === 'failed' || outcome === 'refused') sums[outcome]++
    sums.prompt += numberOf(prompt)
    sums.cached += numberOf(cached)
    sums.completion += numberOf(completion)
    sums.nanoDollars += Math.round(numberOf(cost) * NANO)
    if (outcome !== 'completed') return
    count(sums.total, totalMs)
    count(sums.first, firstMs)
  }

  /** In the order of the table's key: two gateways never wait for each other. */
  get rows(): Sums[] {
    return [...this.#sums.keys()].sort().map((key) => this.#sums.get(key)!)
  }
}

function emptySums(hour: string, names: string[]): Sums {
  const [caller = '', project = '', model = '', version = '', upstream = ''] = names
  return {
    hour: `${hour}:00:00Z`,
    caller,
    project,
    model,
    version,
    upstream,
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

/** '' stands for what isn't known. */
function unescape(field: string): string {
  if (field === NULL) return ''
  if (!field.includes('\\')) return field
  const raw: Record<string, string> = { t: '\t', n: '\n', r: '\r' }
  return field.replace(/\\(.)/g, (_escape, code: string) => raw[code] ?? code)
}

function numberOf(field: string | undefined): number {
  return field === undefined || field === NULL ? 0 : Number(field)
}

/** Two buckets for each doubling: a percentile that is read from them is at most 19 % off. */
function bucketOf(ms: number): number {
  return ms <= 1 ? 0 : Math.min(BUCKETS - 1, Math.ceil(2 * Math.log2(ms)))
}

function count(counts: number[], field: string | undefined): void {
  if (field === undefined || field === NULL) return
  const bucket = bucketOf(Number(field))
  while (counts.length <= bucket) counts.push(0)
  counts[bucket]!++
}

export async function addHours(db: Queryable, hours: HourSums): Promise<void> {
  const rows = hours.rows.map(({ nanoDollars, ...row }) => ({
    ...row,
    usd: (nanoDollars / NANO).toFixed(9),
  }))
  await db.query(ADD, [JSON.stringify(rows)])
}

const SUMMED =
  'requests cancelled failed refused prompt_tokens cached_tokens completion_tokens cost_usd'.split(
    ' ',
  )
const COUNTED = ['total_ms_counts', 'time_to_first_token_ms_counts']

const ADD = `
  INSERT INTO exchange_hours AS hours (
    hour, caller_id, project_id, model, version, upstream, ${[...SUMMED, ...COUNTED].join(', ')}
  )
  SELECT *
  FROM json_to_recordset($1) AS batch (
    hour timestamptz, caller text, project text, model text, version text, upstream text, requests bigint,
    cancelled bigint, failed bigint, refused bigint, prompt bigint, cached bigint, completion bigint, usd numeric,
    total bigint[], first bigint[]
  )
  ON CONFLICT (hour, caller_id, project_id, model, version, upstream) DO UPDATE SET
    ${[
      ...SUMMED.map((name) => `${name} = hours.${name} + excluded.${name}`),
      ...COUNTED.map((name) => `${name} = add_counts(hours.${name}, excluded.${name})`),
    ].join(',\n    ')}`
