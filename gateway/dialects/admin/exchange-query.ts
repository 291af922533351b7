// Which exchanges are asked for, read from a query: `?version=guide@7&total_ms_min=5000&error_code=null&tag=a`.
//
// A field that is repeated may be any of its values; `null` is: not known. Figures also have `_min` and `_max`, both
// inclusive. Times are `from`, inclusive, and `to`, exclusive. Names that aren't known are refused: a filter that is
// passed over in silence finds what nobody asked for.

import { Type } from 'typebox'
import type { TOptional, TUnsafe } from 'typebox'

import { EVERYTHING, FIELDS } from '../../db/exchange-fields.ts'
import { isUuid } from '../../db/uuid.ts'
import { GatewayError } from '../../errors.ts'
import { nearestName } from '../../nearest-name.ts'
import { given } from '../openai/violation.ts'
import { readTime } from './fields.ts'
import type { ExchangeFilter, Field, FieldValue } from '../../db/exchange-fields.ts'

/** By name; repeated ones as lists. */
export type Query = Record<string, string | string[]>

const MAX_VALUES = 50
const MAX_CHARACTERS = 512
const MAX_INTEGER = 2_147_483_647

/** Of these nobody asks for one value, and no index would find it. */
const isMeasure = ({ kind }: Field) => kind === 'tokens' || kind === 'ms' || kind === 'usd'
const isFigure = (field: Field) => field.kind === 'whole' || isMeasure(field)

/** with those of metadata, `metadata.NAME` */
export const FILTER_NAMES: readonly string[] = [
  ...FIELDS.flatMap((field) => [
    field.name,
    ...(isFigure(field) ? [`${field.name}_min`, `${field.name}_max`] : []),
  ]),
  'tag',
  'from',
  'to',
]

const DESCRIPTIONS: Record<string, string> = {
  tag: 'Has this tag; repeated: all of them.',
  from: 'From this time on, such as 2027-01-31T00:00:00Z.',
  to: 'Before this time.',
}

const KINDS: Record<Field['kind'], string> = {
  id: 'a UUID',
  text: `a text of at most ${MAX_CHARACTERS} characters`,
  flag: 'true or false',
  whole: 'a whole number',
  tokens: 'a whole number',
  ms: 'a number of milliseconds',
  usd: 'a number of US dollars',
}

/** For the document; what is allowed is said by readFilter(), in words of its own. */
export const FILTER_QUERY: Record<
  string,
  TOptional<TUnsafe<string | string[]>>
> = Object.fromEntries(
  FILTER_NAMES.map((name) => {
    const description = DESCRIPTIONS[name] ?? describeField(name)
    const items = { type: 'string' }
    const value = Type.Unsafe<string | string[]>({ type: ['string', 'array'], items, description })
    return [name, Type.Optional(value)]
  }),
)

function describeField(name: string): string {
  const field = FIELDS.find((field) => field.name === name)
  if (field && isMeasure(field))
    return `null: not known; ${name}_min and ${name}_max are its bounds.`
  if (field) {
    const allowed = field.values?.join(', ') ?? KINDS[field.kind]
    return `${sentenceCase(field.about ?? allowed)}; null: not known.`
  }
  const ranged = FIELDS.find((field) => name.startsWith(`${field.name}_`) && isFigure(field))
  const bound = name.endsWith('_min') ? 'At least' : 'At most'
  return `${bound} this; ${KINDS[ranged?.kind ?? 'whole']}.`
}

function sentenceCase(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1)
}

/**
 * @param others names that have a meaning of their own
 * @throws GatewayError that says what is allowed
 */
export function readFilter(query: Query, others: readonly string[] = []): ExchangeFilter {
  // A copy of its own, to be filled.
  const filter = structuredClone(EVERYTHING)
  for (const [name, given] of Object.entries(query)) {
    if (others.includes(name)) continue
    const values = [given].flat()
    if (values.length > MAX_VALUES) {
      throw refuse(name, `at most ${MAX_VALUES} values`, values)
    }
    readPart(filter, name, values)
  }
  return filter
}

function readPart(filter: ExchangeFilter, name: string, values: string[]): void {
  if (name === 'tag') {
    filter.tags = values.map((value) => readText(name, value))
    return
  }
  if (name === 'from' || name === 'to') {
    filter[name] = readTime(only(name, values), name)
    return
  }
  if (name.startsWith('metadata.') && name.length > 'metadata.'.length) {
    filter.metadata[name.slice('metadata.'.length)] = readText(name, only(name, values))
    return
  }
  const field = FIELDS.find((field) => field.name === name)
  if (field) {
    filter.equal.push({ field, values: values.map((value) => readValue(field, value)) })
    return
  }
  const [, figure = '', side] = /^(.+)_(min|max)$/.exec(name) ?? []
  const ranged = FIELDS.find((field) => field.name === figure && isFigure(field))
  if (!ranged) throw unknown(name, [...FILTER_NAMES, 'metadata.NAME'])
  const bound = readNumber(ranged, name, only(name, values))
  let range = filter.within.find(({ field }) => field === ranged)
  if (!range) filter.within.push((range = { field: ranged, min: null, max: null }))
  range[side as 'min' | 'max'] = bound
}

function readValue(field: Field, value: string): FieldValue | null {
  const { name, kind, values } = field
  if (value === 'null') return null
  if (values && !values.includes(value)) throw refuse(name, `${values.join(', ')} or null`, value)
  if (isMeasure(field)) {
    throw refuse(name, `null; ${name}_min and ${name}_max take its bounds`, value)
  }
  switch (kind) {
    case 'text':
      return readText(name, value)
    case 'id':
      if (isUuid(value)) return value.toLowerCase()
      throw refuse(name, `${KINDS.id}, or null`, value)
    case 'flag':
      if (value === 'true' || value === 'false') return value === 'true'
      throw refuse(name, KINDS.flag, value)
    default:
      return readNumber(field, name, value)
  }
}

function readText(name: string, value: string): string {
  if (value.length <= MAX_CHARACTERS && !value.includes('\0')) return value
  throw refuse(name, KINDS.text, value)
}

function readNumber({ kind }: Field, name: string, value: string): number {
  const number = /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : Number.NaN
  const isAllowed = (kind !== 'whole' && kind !== 'tokens') || Number.isInteger(number)
  if (isAllowed && Math.abs(number) <= MAX_INTEGER) return number
  throw refuse(name, KINDS[kind], value)
}

function only(name: string, values: string[]): string {
  if (values.length === 1 && values[0] !== undefined) return values[0]
  throw refuse(name, 'given once', values)
}

function refuse(param: string, allowed: string, value: unknown) {
  return new GatewayError('invalid_value', `'${param}' must be ${allowed}; got ${given(value)}.`, {
    param,
  })
}

function unknown(param: string, allowed: readonly string[]) {
  const short = param.length <= 60 ? param : `${param.slice(0, 60)}…`
  const nearest = nearestName(short, allowed)
  const hint = nearest ? ` Did you mean '${nearest}'?` : ''
  return new GatewayError(
    'unknown_parameter',
    `Unknown filter: '${short}'.${hint} Allowed are ${allowed.join(', ')}.`,
    { param: short },
  )
}
