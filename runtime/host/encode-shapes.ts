// The shape of what models that read whole texts are asked.

import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import type { TSchema } from 'typebox'

import { check } from './check.ts'
import type { EncodeRequest, EncoderInput } from '../protocol.ts'

type Of<Task extends EncodeRequest['task']> = Extract<EncodeRequest, { task: Task }>

/** Bodies to requests. @throws Refusal that names the field at fault */
export function createEncodeShape(): (body: unknown) => EncodeRequest {
  const closed = { additionalProperties: false }
  const identifier = Type.String({ minLength: 1, maxLength: 200 })
  const input = Type.Unsafe<EncoderInput>({
    anyOf: [
      { type: 'string' },
      { type: 'array', minItems: 1, items: { type: 'integer', minimum: 0 } },
      {
        type: 'object',
        required: ['text', 'pair'],
        properties: { text: { type: 'string' }, pair: { type: 'string' } },
        ...closed,
      },
    ],
  })
  const rest = {
    id: identifier,
    version: identifier,
    truncate: Type.Optional(Type.Boolean()),
  }
  // `satisfies` makes a field that is new in the protocol a type error until it is here, too.
  const kinds = {
    embed: Compile(
      Type.Object(
        {
          ...rest,
          task: Type.Literal('embed'),
          inputs: Type.Array(input),
          dimensions: Type.Optional(Type.Integer({ minimum: 1 })),
        } satisfies Record<keyof Of<'embed'>, TSchema>,
        closed,
      ),
    ),
    rerank: Compile(
      Type.Object(
        {
          ...rest,
          task: Type.Literal('rerank'),
          query: Type.String(),
          documents: Type.Array(Type.String()),
        } satisfies Record<keyof Of<'rerank'>, TSchema>,
        closed,
      ),
    ),
    classify: Compile(
      Type.Object(
        {
          ...rest,
          task: Type.Literal('classify'),
          inputs: Type.Array(input),
        } satisfies Record<keyof Of<'classify'>, TSchema>,
        closed,
      ),
    ),
  }
  const task = Compile(Type.Object({ task: Type.Enum(['embed', 'rerank', 'classify']) }))
  return (body) => {
    switch (check(task, body).task) {
      case 'embed':
        return check(kinds.embed, body)
      case 'rerank':
        return check(kinds.rerank, body)
      case 'classify':
        return check(kinds.classify, body)
    }
  }
}
