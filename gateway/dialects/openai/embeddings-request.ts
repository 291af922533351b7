// The body of POST /v1/embeddings: its schema, and what it asks for in our own terms.

import { Type } from 'typebox'

import { GatewayError } from '../../errors.ts'
import { otherThan } from './parameters.ts'
import { nullableInteger, nullableString } from './schema.ts'
import type { Static } from 'typebox'
import type { EmbeddingQuestion, TextPrompt } from '../../backends/backend.ts'

/** OpenAI's own bound */
const MAX_INPUTS = 2048
const TOKEN_ID = { type: 'integer', minimum: 0, maximum: 2 ** 31 - 1 }
const TEXT = { type: 'string', minLength: 1 }

export const EmbeddingsRequest = Type.Object(
  {
    model: Type.String({ minLength: 1, maxLength: 256 }),
    input: Type.Unsafe<string | string[] | number[] | number[][]>({
      title: `a text, an array of token ids, or an array of up to ${MAX_INPUTS} of either, none of them empty`,
      anyOf: [
        TEXT,
        { type: 'array', minItems: 1, maxItems: MAX_INPUTS, items: TEXT },
        { type: 'array', minItems: 1, items: TOKEN_ID },
        {
          type: 'array',
          minItems: 1,
          maxItems: MAX_INPUTS,
          items: { type: 'array', minItems: 1, items: TOKEN_ID },
        },
      ],
    }),
    encoding_format: Type.Optional(
      Type.Unsafe<'float' | 'base64' | null>({
        title: '"float" or "base64"',
        enum: ['float', 'base64', null],
      }),
    ),
    dimensions: nullableInteger({ minimum: 1, maximum: 65_536 }),
    user: nullableString('The end user, for the log and for upstreams.'),
  },
  { additionalProperties: true },
)

export type EmbeddingsRequestBody = Static<typeof EmbeddingsRequest>

export type EncodingFormat = 'float' | 'base64'

export interface AskedEmbeddings {
  question: Omit<EmbeddingQuestion, 'id'>
  model: string
  encodingFormat: EncodingFormat
}

export function readEmbeddingsRequest(body: EmbeddingsRequestBody): AskedEmbeddings {
  return {
    question: {
      inputs: readInputs(body.input),
      dimensions: body.dimensions ?? undefined,
      user: body.user ?? undefined,
      extra: otherThan(EmbeddingsRequest.properties, body),
    },
    model: body.model,
    encodingFormat: body.encoding_format ?? 'float',
  }
}

function readInputs(input: EmbeddingsRequestBody['input']): TextPrompt[] {
  if (typeof input === 'string') return [{ kind: 'text', text: input }]
  if (input.every((item) => typeof item === 'number')) return [{ kind: 'tokens', ids: input }]
  return input.map((item, index) => {
    if (typeof item === 'string') return { kind: 'text', text: item }
    if (Array.isArray(item)) return { kind: 'tokens', ids: item }
    throw new GatewayError('invalid_type', `'input[${index}]' must be a text or token ids.`, {
      param: `input[${index}]`,
    })
  })
}
