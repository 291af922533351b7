// The body of POST /v1/completions: its schema, and what it asks for in our own terms.

import { Type } from 'typebox'

import { GatewayError } from '../../errors.ts'
import { MAX_CHOICES, readSampling, readStop, readStream, SHARED_PARAMETERS } from './parameters.ts'
import { nullableBoolean, nullableInteger, readLater } from './schema.ts'
import type { Static } from 'typebox'
import type { Asked } from '../dialect.ts'
import type { Prompt } from '../../../runtime/protocol.ts'

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
    best_of: nullableInteger({ minimum: 1, maximum: MAX_CHOICES }),
    logprobs: nullableInteger({ minimum: 0, maximum: 20 }),
    suffix: readLater('Not supported.'),
  },
  { additionalProperties: false },
)

export type CompletionRequestBody = Static<typeof CompletionRequest>

export function readCompletionRequest(body: CompletionRequestBody): Asked {
  const choices = body.n ?? 1
  const prompts = readPrompts(body.prompt)
  if (body.suffix !== undefined && body.suffix !== null && body.suffix !== '') {
    throw new GatewayError(
      'unsupported_parameter',
      "'suffix' can't be honoured by this server: leave it out.",
      { param: 'suffix' },
    )
  }
  // Generating more than are given back, and choosing by log-probability, is not done here.
  if (body.best_of && body.best_of !== 1 && body.best_of !== choices) {
    throw new GatewayError(
      'unsupported_parameter',
      `'best_of' can't be honoured by this server: leave it out, or send 1 or the value of 'n' (${choices}); got ${body.best_of}.`,
      { param: 'best_of' },
    )
  }
  if (body.echo && typeof body.logprobs === 'number') {
    throw new GatewayError(
      'unsupported_parameter',
      "'logprobs' can't be honoured together with 'echo': the prompt's own are not computed.",
      { param: 'logprobs' },
    )
  }
  if (prompts.length * choices > MAX_CHOICES) {
    throw new GatewayError(
      'invalid_value',
      `'n' times the number of prompts must be at most ${MAX_CHOICES}; got ${choices} times ${prompts.length}.`,
      { param: 'n' },
    )
  }
  return {
    prompts,
    promptParam: 'prompt',
    choices,
    sampling: readSampling(body, body.logprobs ?? null),
    maxTokens: body.max_tokens ?? DEFAULT_MAX_TOKENS,
    stop: readStop(body.stop),
    echo: body.echo === true,
    ...readStream(body),
  }
}

function readPrompts(prompt: CompletionRequestBody['prompt']): Prompt[] {
  if (typeof prompt === 'string') return [{ kind: 'text', text: prompt }]
  if (prompt.every((item) => typeof item === 'number')) return [{ kind: 'tokens', ids: prompt }]
  return prompt.map((item) =>
    typeof item === 'string'
      ? { kind: 'text', text: item }
      : { kind: 'tokens', ids: typeof item === 'number' ? [item] : item },
  )
}
