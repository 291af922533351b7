// What headrace.yaml may say: upstreams, and models whose answers come from upstreams or from versions of the library.
//
// Knows: shapes. Does not know: files, how a declaration becomes routes.

import { Type } from 'typebox'
import type { Static } from 'typebox'

export const APIS = ['openai', 'azure', 'anthropic', 'gemini', 'compatible'] as const

const closed = { additionalProperties: false }
const milliseconds = (description: string) =>
  Type.Optional(Type.Integer({ minimum: 1, maximum: 3_600_000, description }))
const name = Type.String({ minLength: 1, maxLength: 256 })
const dollars = (description: string) => Type.Number({ minimum: 0, description })

const Timeouts = Type.Object(
  {
    first_token_ms: milliseconds('from the request to the first delta'),
    stall_ms: milliseconds('between two deltas'),
    total_ms: milliseconds('of the whole answer'),
  },
  closed,
)

const Price = Type.Object(
  {
    input: dollars('US dollars for a million prompt tokens'),
    cached_input: Type.Optional(dollars('for a million prompt tokens that were cached')),
    output: dollars('US dollars for a million generated tokens'),
    second: Type.Optional(
      dollars('for a second of computing; of an upstream, for a second of its answer'),
    ),
  },
  closed,
)

export const Upstream = Type.Object(
  {
    api: Type.Unsafe<(typeof APIS)[number]>({ type: 'string', enum: [...APIS] }),
    base_url: Type.Optional(Type.String({ minLength: 1 })),
    key: Type.Optional(Type.String({ minLength: 1 })),
    headers: Type.Optional(Type.Record(Type.String(), Type.String())),
    /** Azure's older addresses name it */
    api_version: Type.Optional(Type.String({ minLength: 1 })),
    connect_ms: milliseconds('until a connection stands'),
    max_connections: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
    /** false where the server refuses `stream_options` */
    stream_usage: Type.Optional(Type.Boolean()),
  },
  closed,
)

const Target = Type.Object(
  {
    /** a model of the library, or one version of it: `name@version` */
    version: Type.Optional(name),
    upstream: Type.Optional(name),
    /** its name at the upstream */
    model: Type.Optional(name),
    weight: Type.Optional(Type.Number({ minimum: 0, maximum: 1_000_000 })),
    price: Type.Optional(Price),
    timeouts: Type.Optional(Timeouts),
  },
  closed,
)

export const Model = Type.Object(
  {
    targets: Type.Array(Target, { minItems: 1, maxItems: 100 }),
    fallbacks: Type.Optional(Type.Array(Target, { maxItems: 100 })),
    balance: Type.Optional(
      Type.Unsafe<'weighted' | 'least_busy' | 'fastest'>({
        type: 'string',
        enum: ['weighted', 'least_busy', 'fastest'],
      }),
    ),
    sticky_header: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9-]{1,100}$' })),
    retries: Type.Optional(Type.Integer({ minimum: 0, maximum: 10 })),
    cache_s: Type.Optional(Type.Integer({ minimum: 1, maximum: 31_536_000 })),
  },
  closed,
)

export const DeclarationSchema = Type.Object(
  {
    upstreams: Type.Optional(Type.Record(Type.String(), Upstream)),
    models: Type.Optional(Type.Record(Type.String(), Model)),
    defaults: Type.Optional(
      Type.Object(
        {
          retries: Type.Optional(Type.Integer({ minimum: 0, maximum: 10 })),
          timeouts: Type.Optional(Timeouts),
        },
        closed,
      ),
    ),
    /** who takes what names no model: files, batches */
    default_upstream: Type.Optional(name),
    /** who is told of every deployment */
    webhooks: Type.Optional(
      Type.Array(
        Type.Object({ url: Type.String(), secret: Type.String({ minLength: 24 }) }, closed),
        { maxItems: 20 },
      ),
    ),
    /** what is taken out of texts that are kept redacted, besides what is known: RE2's patterns by `[NAME]` */
    redact: Type.Optional(
      Type.Record(Type.String(), Type.String({ minLength: 1, maxLength: 1000 }), {
        maxProperties: 100,
      }),
    ),
  },
  closed,
)

export type Declaration = Static<typeof DeclarationSchema>
export type DeclaredUpstream = Static<typeof Upstream>
export type DeclaredModel = Static<typeof Model>
export type DeclaredTarget = Static<typeof Target>
export type DeclaredTimeouts = Static<typeof Timeouts>
