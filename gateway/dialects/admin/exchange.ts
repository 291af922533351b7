// Exchanges in the admin API's wire format.

import { Type } from 'typebox'

import { Time } from './fields.ts'
import { FIELDS } from '../../db/exchange-fields.ts'
import type { FieldKind } from '../../db/exchange-fields.ts'
import type { ExchangeBodies, ExchangeRow } from '../../db/exchange-rows.ts'
import type { Hit } from '../../db/exchange-search.ts'

const TYPES: Record<FieldKind, string> = {
  id: 'string',
  text: 'string',
  flag: 'boolean',
  whole: 'integer',
  tokens: 'integer',
  ms: 'number',
  usd: 'number',
}

/** All that can be searched by, and what can't. */
const FIELD_TYPES = Object.fromEntries(
  FIELDS.filter(({ name }) => name !== 'finish_reason').map(({ name, kind }) => [
    name,
    Type.Unsafe<unknown>({ type: [TYPES[kind], 'null'] }),
  ]),
)

const nullable = (type: string, more: object = {}) =>
  Type.Unsafe<unknown>({ type: [type, 'null'], ...more })

const FIGURES = {
  object: Type.Literal('exchange'),
  id: Type.String(),
  started_at: Time,
  ...FIELD_TYPES,
  finish_reasons: nullable('array', { items: { type: 'string' } }),
  tags: nullable('array', { items: { type: 'string' } }),
  metadata: nullable('object'),
  attempts: nullable('array', {
    items: { type: 'object' },
    description: 'Null where the first one that was asked answered.',
  }),
  error_message: nullable('string'),
}

const TEXTS = {
  prompt: Type.Optional(Type.Unknown({ description: 'As the client sent it.' })),
  parameters: Type.Optional(nullable('object', { description: 'The rest of the request.' })),
  answer: Type.Optional(nullable('array', { description: 'One text for each choice.' })),
  tool_calls: Type.Optional(nullable('array', { description: 'One list for each choice.' })),
}

export const ExchangeBody = Type.Unsafe<Record<string, unknown> & { id: string }>(
  Type.Object({ ...FIGURES, ...TEXTS }),
)

/** @param bodies absent: not asked for; null: not kept */
export function exchangeBody(row: ExchangeRow, bodies?: ExchangeBodies | null) {
  const { startedAt, digest: _digest, previousDigest: _previousDigest, ...rest } = row
  const told: Record<string, unknown> & { id: string } = {
    object: 'exchange',
    id: row.id,
    started_at: startedAt.toISOString(),
  }
  for (const [name, value] of Object.entries(rest)) told[snakeCase(name)] = value
  if (bodies === undefined) return told
  const { prompt = null, parameters = null, answer = null, toolCalls = null } = bodies ?? {}
  return { ...told, prompt, parameters, answer, tool_calls: toolCalls }
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

export const HitBody = Type.Object({
  object: Type.Literal('exchange_hit'),
  id: Type.String(),
  rank: Type.Number(),
  highlights: Type.Object({
    prompt: Type.Unsafe<string | null>({ type: ['string', 'null'] }),
    answer: Type.Unsafe<string | null>({
      type: ['string', 'null'],
      description: 'Pieces of the text; what was searched for stands between « and ».',
    }),
  }),
  exchange: ExchangeBody,
})

export function hitBody(row: ExchangeRow, { id, rank, prompt, answer }: Hit) {
  const highlights = { prompt, answer }
  return { object: 'exchange_hit' as const, id, rank, highlights, exchange: exchangeBody(row) }
}
