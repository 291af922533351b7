// API keys in the admin API's wire format. A key itself is only in the answer that makes it.

import { Type } from 'typebox'
import type { Static } from 'typebox'

import { ROLES } from '../../callers/caller.ts'
import { limitsToWire } from '../../callers/limits.ts'
import {
  Bodies,
  LimitsBody,
  MAX_OVERLAP_SECONDS,
  Name,
  NullableTime,
  TagsBody,
  Time,
} from './fields.ts'
import type { Role } from '../../callers/caller.ts'
import type { ApiKey } from '../../db/api-keys.ts'

const MAX_PATTERNS = 1000
const MAX_CACHE_SECONDS = 31_536_000

const RoleName = Type.Unsafe<Role>({ type: 'string', enum: [...ROLES] })
const AllowedModels = Type.Unsafe<string[] | null>({
  type: ['array', 'null'],
  items: { type: 'string', minLength: 1, maxLength: 256 },
  maxItems: MAX_PATTERNS,
  title: `an array of at most ${MAX_PATTERNS} names of models, with * for any characters, or null for all`,
  description: 'Names of models, with * for any characters; null: all models.',
})

const SETTABLE = {
  role: Type.Optional(RoleName),
  project: Type.Optional(
    Type.Unsafe<string | null>({
      type: ['string', 'null'],
      minLength: 1,
      maxLength: 64,
      title: 'the id or name of a project, or null',
      description: 'Id or name of a project, whose limits hold for all of its keys together.',
    }),
  ),
  allowed_models: Type.Optional(AllowedModels),
  limits: Type.Optional(LimitsBody),
  tags: Type.Optional(TagsBody),
  cache_seconds: Type.Optional(
    Type.Unsafe<number | null>({
      type: ['integer', 'null'],
      minimum: 0,
      maximum: MAX_CACHE_SECONDS,
      description:
        'How long answers to equal questions are given again; 0: never; null: as the model says.',
    }),
  ),
  bodies: Type.Optional(Bodies),
  expires_at: Type.Optional(NullableTime),
}

export const KeyDraft = Type.Object({ name: Name, ...SETTABLE }, { additionalProperties: false })
export type KeyDraft = Static<typeof KeyDraft>

export const KeyPatch = Type.Object(
  { name: Type.Optional(Name), ...SETTABLE },
  { additionalProperties: false },
)
export type KeyPatch = Static<typeof KeyPatch>

interface Rotation {
  overlap_seconds?: number
}

/** No body at all: no overlap. */
export const RotationBody = Type.Unsafe<Rotation | null>({
  type: ['object', 'null'],
  properties: {
    overlap_seconds: {
      type: 'integer',
      minimum: 0,
      maximum: MAX_OVERLAP_SECONDS,
      description: 'How long the key of before still works; without it, not at all.',
    },
  },
  additionalProperties: false,
})

const KEY_FIELDS = {
  object: Type.Literal('key'),
  id: Type.String(),
  name: Type.String(),
  prefix: Type.String({ description: "The key's first characters." }),
  role: RoleName,
  project: Type.Unsafe<{ id: string; name: string } | null>({
    type: ['object', 'null'],
    properties: { id: { type: 'string' }, name: { type: 'string' } },
  }),
  allowed_models: AllowedModels,
  limits: LimitsBody,
  tags: Type.Record(Type.String(), Type.String()),
  cache_seconds: Type.Unsafe<number | null>({ type: ['integer', 'null'] }),
  bodies: Bodies,
  expires_at: NullableTime,
  created_at: Time,
  created_by: Type.Unsafe<string | null>({ type: ['string', 'null'] }),
  updated_at: NullableTime,
  rotated_at: NullableTime,
  previous_key_until: NullableTime,
  revoked_at: NullableTime,
}

export const KeyBody = Type.Object(KEY_FIELDS)
export const NewKeyBody = Type.Object({
  ...KEY_FIELDS,
  key: Type.String({ description: 'The key itself, shown this once.' }),
})

export function keyBody(apiKey: ApiKey): Static<typeof KeyBody> {
  return {
    object: 'key',
    id: apiKey.id,
    name: apiKey.name,
    prefix: apiKey.prefix,
    role: apiKey.role,
    project: apiKey.project,
    allowed_models: apiKey.allowedModels,
    limits: limitsToWire(apiKey.limits),
    tags: apiKey.tags,
    cache_seconds: apiKey.cacheSeconds,
    bodies: apiKey.bodies,
    expires_at: timeOf(apiKey.expiresAt),
    created_at: apiKey.createdAt.toISOString(),
    created_by: apiKey.createdBy,
    updated_at: timeOf(apiKey.updatedAt),
    rotated_at: timeOf(apiKey.rotatedAt),
    previous_key_until: timeOf(apiKey.previousUntil),
    revoked_at: timeOf(apiKey.revokedAt),
  }
}

function timeOf(time: Date | null): string | null {
  return time?.toISOString() ?? null
}
