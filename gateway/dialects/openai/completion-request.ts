// The body of POST /v1/completions: its schema, and what it asks for in our own terms.

import { Type } from 'typebox'

import { GatewayError } from '../../errors.ts'
import {
  MAX_CHOICES,
  otherThan,
  readSampling,
  readStop,
  readStream,
  SHARED_PARAMETERS,
} from './parameters.ts'
import { nullableBoolean, nullableInteger } from './schema.ts'
import type { Static } from 'typebox'
import type { Asked } from '../dialect.ts'
import type { TextPrompt } from '../../backends/backend.ts'

/** OpenAI's own default, which surprises everybody once; clients that know the API count on it */
const DEFAULT_MAX_TOKENS = 16

const TOKEN_ID = { type: 'integer', minimum: 0, maximum: 2 ** 31 - 1 }

export const CompletionRequest = Type.Object(
  {
    ...SHARED_PARAMETERS,
    prompt: Type.Unsafe<string | string[] | number[] | number[][]>({
      title: `a string, an array of token ids, or an array of up to ${MAX_CHOICES} of either`,
      anyOf: [
        { type: 'string' },
        { type: 'array', minItems: 1, maxItems: MAX_CHOICES, items: { type: 'string' } },
        { type: 'array', minItems: 1, items: TOKEN_ID },
        {
          type: 'array',
          minItems: 1,
          maxItems: MAX_CHOICES,
          items: { type: 'array', minItems: 1, items: TOKEN_ID },
        },
      ],
    }),
    echo: nullableBoolean('Give the prompt back as the start of the answer.'),
    logprobs: nullableInteger({ minimum: 0, maximum: 20 }),
  },
  { additionalProperties: true },
)

export type CompletionRequestBody = Static<typeof CompletionRequest>

export function readCompletionRequest(body: CompletionRequestBody): Asked {
  const choices = body.n ?? 1
  const prompts = readPrompts(body.prompt)
  if (prompts.length * choices > MAX_CHOICES) {
    throw new GatewayError(
      'invalid_value',
      `'n' times the number of prompts must be at most ${MAX_CHOICES}; got ${choices} times ${prompts.length}.`,
      { param: 'n' },
    )
  }
  return {
    question: {
      kind: 'completion',
      dialect: 'openai',
      prompts,
      promptParam: 'prompt',
      choices,
      sampling: readSampling(body, body.logprobs ?? null),
      maxTokens: body.max_tokens ?? DEFAULT_MAX_TOKENS,
      stop: readStop(body.stop),
      echo: body.echo === true,
      user: body.user ?? undefined,
      extra: otherThan(CompletionRequest.properties, body),
    },
    model: body.model,
    ...readStream(body),
  }
}

function readPrompts(prompt: CompletionRequestBody['prompt']): TextPrompt[] {
  if (typeof prompt === 'string') return [{ kind: 'text', text: prompt }]
  if (prompt.every((item) => typeof item === 'number')) return [{ kind: 'tokens', ids: prompt }]
  return prompt.map((item) =>
    typeof item === 'string'
      ? { kind: 'text', text: item }
      : { kind: 'tokens', ids: typeof item === 'number' ? [item] : item },
  )
}
