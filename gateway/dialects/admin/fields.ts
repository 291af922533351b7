// Fields that several things of the admin API have, in its wire format.
//
// `title` says in words what a value may be, and is quoted to whoever sends something else. A change is a JSON merge
// patch (RFC 7396): what it doesn't name stays, null takes away.

import { Type } from 'typebox'

import { GatewayError } from '../../errors.ts'
import { BODY_POLICIES } from '../../callers/body-policy.ts'
import { LIMITS } from '../../callers/limits.ts'
import { given } from '../openai/violation.ts'
import type { BodyPolicy } from '../../callers/body-policy.ts'
import type { LimitName } from '../../callers/limits.ts'

/** Of keys and projects. */
export const NAME_PATTERN = '^[\\p{L}\\p{N}][\\p{L}\\p{N} ._@-]{0,63}$'
export const NAME_RULE =
  'letters, digits, spaces and . _ @ -, at most 64, the first a letter or digit'
/** A month: for how long what is replaced may still work. */
export const MAX_OVERLAP_SECONDS = 2_592_000
const MAX_TAGS = 32
const MAX_TAG_CHARACTERS = 256

export const Name = Type.String({ pattern: NAME_PATTERN, title: NAME_RULE })

export type LimitsPatch = { [Name in LimitName]?: number | null }

export const LimitsBody = Type.Unsafe<LimitsPatch>({
  type: 'object',
  description: 'An absent one, or null, is no limit of its kind.',
  properties: Object.fromEntries(
    LIMITS.map(({ name, isWhole, about }) => [
      name,
      {
        type: [isWhole ? 'integer' : 'number', 'null'],
        minimum: 0,
        maximum: Number.MAX_SAFE_INTEGER,
        description: about,
      },
    ]),
  ),
  additionalProperties: false,
})

export type TagsPatch = Record<string, string | null>

export const TagsBody = Type.Unsafe<TagsPatch>({
  type: 'object',
  description: 'Words of your own: team, cost centre, environment.',
  maxProperties: MAX_TAGS,
  title: `an object of at most ${MAX_TAGS} strings of at most ${MAX_TAG_CHARACTERS} characters`,
  additionalProperties: {
    type: ['string', 'null'],
    maxLength: MAX_TAG_CHARACTERS,
    title: `a string of at most ${MAX_TAG_CHARACTERS} characters`,
  },
})

export const Bodies = Type.Unsafe<BodyPolicy | null>({
  type: ['string', 'null'],
  enum: [...BODY_POLICIES, null],
  title: `one of ${BODY_POLICIES.join(', ')}, or null`,
  description:
    "What is kept of exchanges' texts: all of them, what is left when they are redacted, or nothing. The stricter of a " +
    "key's and its project's counts; null says nothing, and where both do, the server's setting counts.",
})

export const Time = Type.String({ format: 'date-time' })
export const NullableTime = Type.Unsafe<string | null>({
  type: ['string', 'null'],
  format: 'date-time',
  title: 'a time such as 2027-01-31T00:00:00Z',
})

/** @throws GatewayError where it is no time with a zone */
export function readTime(text: string, param: string): Date {
  const time = new Date(text)
  if (/[zZ]$|[+-]\d\d:\d\d$/.test(text) && !Number.isNaN(time.getTime())) return time
  throw new GatewayError(
    'invalid_value',
    `'${param}' must be a time such as 2027-01-31T00:00:00Z; got ${given(text)}.`,
    { param },
  )
}

/** RFC 7396, one level deep. */
export function mergePatch<T>(
  old: Record<string, T>,
  patch: Record<string, T | null | undefined>,
): Record<string, T> {
  const merged: Record<string, T> = { ...old }
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key]
    else if (value !== undefined) merged[key] = value
  }
  return merged
}
