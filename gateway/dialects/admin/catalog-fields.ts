// Fields that several things of the catalog have, in the admin API's wire format.

import { Type } from 'typebox'

import { MODEL_NAME, VERSION_NUMBER } from '../../../models/manifest.ts'
import type { CatalogLimits, CatalogPrice } from '../../db/catalog-models.ts'

export const MODEL_NAME_RULE =
  "lower-case letters, digits, '.', '_' and '-', at most 64, the first a letter or digit"
const MAX_WORD_CHARACTERS = 256
export const MAX_TEXT_CHARACTERS = 100_000

const nullable = (type: string, rest: object) => ({ type: [type, 'null'], ...rest })

/** One line. */
export const word = (description: string, maxLength = MAX_WORD_CHARACTERS) =>
  Type.Optional(
    Type.Unsafe<string | null>(
      nullable('string', {
        minLength: 1,
        maxLength,
        pattern: '^[^\\p{Cc}]*$',
        title: `one line of 1 to ${maxLength} characters, or null`,
        description,
      }),
    ),
  )

export const markdown = (description: string) =>
  Type.Optional(
    Type.Unsafe<string | null>(
      nullable('string', {
        minLength: 1,
        maxLength: MAX_TEXT_CHARACTERS,
        title: `a text of 1 to ${MAX_TEXT_CHARACTERS} characters, or null`,
        description: `${description} Markdown.`,
      }),
    ),
  )

const dollars = (description: string) => ({ type: 'number', minimum: 0, maximum: 1e9, description })

export const PriceBody = Type.Unsafe<CatalogPrice | null>({
  type: ['object', 'null'],
  description: 'null: nobody said.',
  properties: {
    input: dollars('US dollars for a million prompt tokens'),
    cached_input: dollars('for a million prompt tokens that were cached'),
    output: dollars('US dollars for a million generated tokens'),
    second: dollars('for a second of computing; of an upstream, for a second of its answer'),
  },
  required: ['input', 'output'],
  additionalProperties: false,
})

export type CatalogLimitsPatch = { [Name in keyof CatalogLimits]: number | null }

const most = (description: string) => ({
  type: ['integer', 'null'],
  minimum: 1,
  maximum: Number.MAX_SAFE_INTEGER,
  description,
})

export const StatedLimits = Type.Unsafe<CatalogLimitsPatch>({
  type: 'object',
  description: 'What callers should know; keys and projects have the limits that are enforced.',
  properties: {
    context_tokens: most('of prompt and answer together'),
    output_tokens: most('of one answer'),
    requests_per_minute: most('that it is meant for'),
    concurrent_requests: most('that it is meant for'),
  },
  additionalProperties: false,
})

/** Of paths. */
export const ModelParam = Type.String({
  pattern: MODEL_NAME.source,
  title: MODEL_NAME_RULE,
  description: 'As clients name it.',
})
export const VersionParam = Type.String({
  pattern: VERSION_NUMBER.source,
  title: 'the number of a version',
})
export const IdParam = Type.String({ pattern: '^[\\w-]{1,64}$', title: 'an id' })

export const NullableText = Type.Unsafe<string | null>({ type: ['string', 'null'] })
export const NullableNumber = Type.Unsafe<number | null>({ type: ['number', 'null'] })
