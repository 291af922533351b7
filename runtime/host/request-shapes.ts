// The shapes of request bodies, checked before anything else sees them.
//
// Unknown fields are refused: a newer gateway's parameter that this runtime has never heard of must not be ignored.
// Whether a version can honour what is well-formed is its engine's to say.

import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import type { TSchema } from 'typebox'

import { check } from './check.ts'
import { createEncodeShape } from './encode-shapes.ts'
import type {
  EncodeRequest,
  GenerateRequest,
  LoadRequest,
  SamplingOptions,
  VersionRequest,
  WantRequest,
} from '../protocol.ts'

/** Bodies to requests. Each throws a Refusal that names the field at fault. */
interface RequestShapes {
  toGenerateRequest(body: unknown): GenerateRequest
  toEncodeRequest(body: unknown): EncodeRequest
  toLoadRequest(body: unknown): LoadRequest
  toWantRequest(body: unknown): WantRequest
  /** unload and fit */
  toVersion(body: unknown): VersionRequest
}

const MAX_WANTED = 10_000
/** what is wanted has to be said again; a longer silence than this is somebody who is gone */
const MAX_WANTED_MS = 60 * 60_000

// `satisfies` makes a field that is new in the protocol a type error until it is here, too.
export function createRequestShapes(): RequestShapes {
  const closed = { additionalProperties: false }
  const number = Type.Optional(Type.Number())
  const flag = Type.Optional(Type.Boolean())
  const identifier = Type.String({ minLength: 1, maxLength: 200 })

  const message = Type.Object(
    {
      role: Type.Enum(['system', 'developer', 'user', 'assistant', 'tool']),
      content: Type.String(),
      name: Type.Optional(Type.String()),
    },
    closed,
  )
  const chat = Type.Object({ kind: Type.Literal('chat'), messages: Type.Array(message) }, closed)
  const text = Type.Object({ kind: Type.Literal('text'), text: Type.String() }, closed)
  const tokens = Type.Object(
    { kind: Type.Literal('tokens'), ids: Type.Array(Type.Integer({ minimum: 0 })) },
    closed,
  )
  const sampling = Type.Object(
    {
      temperature: Type.Optional(Type.Number({ minimum: 0 })),
      topK: Type.Optional(Type.Integer({ minimum: 0 })),
      topP: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1 })),
      minP: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
      seed: Type.Optional(Type.Integer()),
      presencePenalty: number,
      frequencyPenalty: number,
      repetitionPenalty: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
      logitBias: Type.Optional(
        Type.Record(Type.String({ pattern: '^\\d+$' }), Type.Number(), closed),
      ),
      logprobs: Type.Optional(Type.Integer({ minimum: 0, maximum: 20 })),
    } satisfies Record<keyof SamplingOptions, TSchema>,
    closed,
  )
  const rest = {
    id: identifier,
    version: identifier,
    sampling,
    maxTokens: Type.Optional(Type.Integer({ minimum: 0 })),
    stop: Type.Array(Type.String({ minLength: 1 })),
    echo: flag,
    ignoreEnd: flag,
  } satisfies Record<Exclude<keyof GenerateRequest, 'prompt'>, TSchema>

  // A request for each kind of prompt: with a union, what is wrong would be told for all three.
  const kinds = {
    chat: Compile(Type.Object({ ...rest, prompt: chat }, closed)),
    text: Compile(Type.Object({ ...rest, prompt: text }, closed)),
    tokens: Compile(Type.Object({ ...rest, prompt: tokens }, closed)),
  }
  const kind = Compile(
    Type.Object({ prompt: Type.Object({ kind: Type.Enum(['chat', 'text', 'tokens']) }) }),
  )
  const version = Compile(Type.Object({ version: identifier }, closed))
  const load = Compile(
    Type.Object(
      { version: identifier, mayEvict: flag } satisfies Record<keyof LoadRequest, TSchema>,
      closed,
    ),
  )
  const want = Compile(
    Type.Object(
      {
        by: identifier,
        versions: Type.Array(identifier, { maxItems: MAX_WANTED }),
        forMs: Type.Integer({ minimum: 0, maximum: MAX_WANTED_MS }),
      } satisfies Record<keyof WantRequest, TSchema>,
      closed,
    ),
  )

  return {
    toGenerateRequest(body) {
      switch (check(kind, body).prompt.kind) {
        case 'chat':
          return check(kinds.chat, body)
        case 'text':
          return check(kinds.text, body)
        case 'tokens':
          return check(kinds.tokens, body)
      }
    },
    toEncodeRequest: createEncodeShape(),
    toLoadRequest: (body) => check(load, body),
    toWantRequest: (body) => check(want, body),
    toVersion: (body) => check(version, body),
  }
}
