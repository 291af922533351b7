// What exchanges can be searched by: every figure and name that is captured, and how each is found.
//
// Knows: columns, their kinds, their indexes. Does not know: requests, how a page is read.
//
// Adding a field: an entry here, and its column in one of the summaries of a migration.

export type FieldKind = 'id' | 'text' | 'flag' | 'whole' | 'tokens' | 'ms' | 'usd'

export interface Field {
  /** in queries, and of the column */
  name: string
  kind: FieldKind
  /** as an index has it, where that is not the column itself */
  expression?: string
  about?: string
  /** what it may be, where there is no end of it otherwise */
  values?: readonly string[]
  /** has a B-tree (field, id); of several in one query the first of this list is walked along */
  needle?: { among?: readonly string[]; holdsNull?: boolean }
}

const id = (name: string, more: Partial<Field> = {}): Field => ({ name, kind: 'id', ...more })
const text = (name: string, more: Partial<Field> = {}): Field => ({ name, kind: 'text', ...more })
const flag = (name: string): Field => ({ name, kind: 'flag', expression: `${name}::int` })
const whole = (name: string): Field => ({ name, kind: 'whole' })
const tokens = (name: string): Field => ({ name, kind: 'tokens' })
const ms = (name: string): Field => ({ name, kind: 'ms' })

const OUTCOMES = ['completed', 'cancelled', 'failed', 'refused'] as const

/** Those that find least come first. */
export const FIELDS: readonly Field[] = [
  id('conversation_id', { needle: {} }),
  text('session', { needle: {} }),
  text('end_user', { needle: {} }),
  text('error_code', { needle: {} }),
  text('outcome', { values: OUTCOMES, needle: { among: ['cancelled', 'failed', 'refused'] } }),
  id('caller_id', { needle: { holdsNull: true } }),
  text('version', { needle: {} }),
  id('project_id', { needle: {} }),
  text('caller_name'),
  id('previous_id'),
  text('method'),
  text('route'),
  text('requested_model'),
  text('model'),
  text('upstream'),
  text('finish_reason', { expression: 'finish_reasons[1]', about: 'of the first choice' }),
  text('cache', { values: ['hit', 'miss'] }),
  flag('streamed'),
  flag('is_usage_estimated'),
  flag('is_stored'),
  whole('deployment'),
  whole('status'),
  whole('attempt_count'),
  tokens('prompt_tokens'),
  tokens('cached_tokens'),
  tokens('completion_tokens'),
  { name: 'cost_usd', kind: 'usd' },
  ms('queue_ms'),
  ms('prefill_ms'),
  ms('decode_ms'),
  ms('time_to_first_token_ms'),
  ms('inter_token_ms'),
  ms('overhead_ms'),
  ms('total_ms'),
]

export type FieldValue = string | number | boolean

/** What an exchange has to be like; all of it at once. */
export interface ExchangeFilter {
  /** equal to one of these, null among them or not */
  equal: { field: Field; values: (FieldValue | null)[] }[]
  /** both inclusive */
  within: { field: Field; min: number | null; max: number | null }[]
  /** has each of them */
  tags: string[]
  /** has each of them, with that value */
  metadata: Record<string, string>
  /** began at that time or later, before that time */
  from: Date | null
  to: Date | null
}

export const EVERYTHING: ExchangeFilter = {
  equal: [],
  within: [],
  tags: [],
  metadata: {},
  from: null,
  to: null,
}

export function fieldNamed(name: string): Field {
  const field = FIELDS.find((field) => field.name === name)
  if (!field) throw new Error(`Exchanges have no field '${name}'. This is a bug.`)
  return field
}

/** SQL text with its values: `$3` is the third of them. */
export class Parameters {
  readonly values: unknown[] = []

  /** @returns the value's place */
  add(value: unknown): string {
    this.values.push(value)
    return `$${this.values.length}`
  }
}

/** @returns conditions, without those of time, to be joined by AND */
export function conditionsOf(filter: ExchangeFilter, parameters: Parameters): string[] {
  const conditions: string[] = []
  for (const { field, values } of filter.equal) {
    const column = field.expression ?? field.name
    const there = values.filter((value) => value !== null).map((value) => sqlValue(field, value))
    const either: string[] = []
    // One value is told as such: plans are better than for a list of one.
    if (there.length === 1) {
      either.push(`${column} = ${parameters.add(there[0])}::${TYPES[field.kind]}`)
    } else if (there.length > 1) {
      either.push(`${column} = ANY(${parameters.add(there)}::${TYPES[field.kind]}[])`)
    }
    if (there.length < values.length) either.push(`${column} IS NULL`)
    conditions.push(either.length === 1 ? either[0]! : `(${either.join(' OR ')})`)
  }
  for (const { field, min, max } of filter.within) {
    const type = TYPES[field.kind]
    if (min !== null) conditions.push(`${field.name} >= ${parameters.add(min)}::${type}`)
    if (max !== null) conditions.push(`${field.name} <= ${parameters.add(max)}::${type}`)
  }
  if (filter.tags.length > 0) {
    conditions.push(`tags IS NOT NULL AND tags @> ${parameters.add(filter.tags)}::text[]`)
  }
  if (Object.keys(filter.metadata).length > 0) {
    const metadata = parameters.add(JSON.stringify(filter.metadata))
    conditions.push(`metadata IS NOT NULL AND metadata @> ${metadata}::jsonb`)
  }
  return conditions
}

/** What a value has to be so that an index on such a column can be asked. */
const TYPES: Record<FieldKind, string> = {
  id: 'uuid',
  text: 'text',
  flag: 'int',
  whole: 'int',
  tokens: 'int',
  ms: 'real',
  usd: 'numeric',
}

function sqlValue({ kind }: Field, value: FieldValue): FieldValue {
  return kind === 'flag' ? Number(value) : value
}
