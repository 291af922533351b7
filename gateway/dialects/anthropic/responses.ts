// The answers' shapes for the OpenAPI document; nothing is validated or filtered by them.

import { Type } from 'typebox'

const optional = (description: string) => Type.Unknown({ description })

export const Message = Type.Object({
  id: Type.String(),
  type: Type.Literal('message'),
  role: Type.Literal('assistant'),
  model: Type.String({ description: 'As it was asked for.' }),
  content: Type.Array(Type.Object({ type: Type.String() }, { additionalProperties: true }), {
    description: 'Blocks of text, thoughts and calls of tools.',
  }),
  stop_reason: Type.Unsafe<string>({
    type: 'string',
    enum: ['end_turn', 'max_tokens', 'stop_sequence', 'tool_use', 'refusal'],
  }),
  stop_sequence: Type.Unsafe<string | null>({ type: ['string', 'null'] }),
  stop_details: optional("Of a refusal: the model's words."),
  usage: Type.Object({
    input_tokens: Type.Integer(),
    cache_creation_input_tokens: Type.Integer(),
    cache_read_input_tokens: Type.Integer(),
    output_tokens: Type.Integer(),
    output_tokens_details: optional('Tokens of thoughts, where somebody counted them.'),
  }),
})

export const TokenCount = Type.Object({ input_tokens: Type.Integer() })
