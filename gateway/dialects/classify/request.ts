// The body of POST /v1/classify: its schema, and what it asks for in our own terms.

import { Type } from 'typebox'

import { otherThan } from '../openai/parameters.ts'
import { nullableInteger, nullableString } from '../openai/schema.ts'
import type { Static } from 'typebox'
import type { ClassifyQuestion } from '../../backends/backend.ts'

/** as many as of embeddings */
const MAX_INPUTS = 2048
const TEXT = { type: 'string', minLength: 1 }
const PAIR = {
  type: 'object',
  required: ['text', 'text_pair'],
  properties: { text: TEXT, text_pair: TEXT },
  additionalProperties: false,
}

type Input = string | { text: string; text_pair: string }

export const ClassifyRequest = Type.Object(
  {
    model: Type.String({ minLength: 1, maxLength: 256 }),
    input: Type.Unsafe<Input | Input[]>({
      title: `a text, an object with text and text_pair, or an array of up to ${MAX_INPUTS} of either, none of them empty`,
      anyOf: [
        TEXT,
        PAIR,
        { type: 'array', minItems: 1, maxItems: MAX_INPUTS, items: { anyOf: [TEXT, PAIR] } },
      ],
    }),
    top_k: nullableInteger({
      minimum: 1,
      description:
        'How many labels are given for each text, the most likely first; all where it is not set.',
    }),
    user: nullableString('The end user, for the log.'),
  },
  { additionalProperties: true },
)

export interface AskedClassification {
  question: Omit<ClassifyQuestion, 'id'>
  model: string
  /** null: all */
  topK: number | null
}

export function readClassifyRequest(body: Static<typeof ClassifyRequest>): AskedClassification {
  const inputs = Array.isArray(body.input) ? body.input : [body.input]
  return {
    question: {
      inputs: inputs.map((input) =>
        typeof input === 'string' ? input : { text: input.text, pair: input.text_pair },
      ),
      user: body.user ?? undefined,
      extra: otherThan(ClassifyRequest.properties, body),
    },
    model: body.model,
    topK: body.top_k ?? null,
  }
}
