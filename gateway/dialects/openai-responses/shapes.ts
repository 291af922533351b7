// The answers' shapes for the OpenAPI document, in short. Nothing is validated or filtered by them; tests hold what is
// sent against OpenAI's own document, which says the rest.

import { Type } from 'typebox'

const item = Type.Object(
  { id: Type.String(), type: Type.String() },
  { additionalProperties: true, description: 'A message, a function call, or reasoning.' },
)

export const Response = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('response'),
    created_at: Type.Integer({ description: 'Unix seconds' }),
    status: Type.Unsafe<string>({ type: 'string', enum: ['completed', 'incomplete', 'failed'] }),
    model: Type.String({ description: 'As it was asked for.' }),
    previous_response_id: Type.Union([Type.String(), Type.Null()]),
    store: Type.Boolean({ description: 'It is kept and can be continued.' }),
    output: Type.Array(item),
    usage: Type.Object({
      input_tokens: Type.Integer(),
      output_tokens: Type.Integer(),
      total_tokens: Type.Integer(),
    }),
  },
  { additionalProperties: true },
)

export const DeletedResponse = Type.Object({
  id: Type.String(),
  object: Type.Literal('response'),
  deleted: Type.Boolean(),
})

export const ItemList = Type.Object({
  object: Type.Literal('list'),
  data: Type.Array(item),
  first_id: Type.String(),
  last_id: Type.String(),
  has_more: Type.Boolean(),
})
