// The parameters that chat completions and completions share, from the wire to our own terms.
//
// Ranges are OpenAI's, where it has them; top_k, min_p and repetition_penalty are what self-hosted servers add. `n` and
// `stop` have bounds of our own: a choice is a whole sequence in the engine, and a stop string is looked for at every
// token.

import { Type } from 'typebox'

import { GatewayError } from '../../errors.ts'
import {
  nullableBoolean,
  nullableInteger,
  nullableNumber,
  nullableString,
  readLater,
} from './schema.ts'
import { given } from './violation.ts'
import type { Asked } from '../dialect.ts'
import type { SamplingOptions } from '../../../runtime/protocol.ts'

/** choices of one request: as many sequences as one caller may reasonably take of an engine's slots */
export const MAX_CHOICES = 32
/** OpenAI allows 4; agents that guard many delimiters want more, and each costs a comparison a token */
const MAX_STOPS = 16
const MAX_STOP_CHARACTERS = 256
const MAX_LOGIT_BIASES = 1024
/** larger than any context; keeps sums of tokens exact */
const MAX_TOKENS = 2 ** 31 - 1

export const SHARED_PARAMETERS = {
  model: Type.String({
    minLength: 1,
    maxLength: 256,
    description: 'A model, or one of its versions: `name` or `name@version`.',
  }),
  stream: nullableBoolean('Answer as server-sent events.'),
  stream_options: Type.Optional(
    Type.Unsafe<{ include_usage?: boolean | null; include_obfuscation?: boolean | null } | null>({
      type: ['object', 'null'],
      properties: {
        include_usage: { type: ['boolean', 'null'] },
        include_obfuscation: { type: ['boolean', 'null'] },
      },
      additionalProperties: false,
    }),
  ),
  n: nullableInteger({ minimum: 1, maximum: MAX_CHOICES, description: 'Answers to each prompt.' }),
  max_tokens: nullableInteger({ minimum: 1, maximum: MAX_TOKENS }),
  temperature: nullableNumber({ minimum: 0, maximum: 2 }),
  top_p: nullableNumber({ exclusiveMinimum: 0, maximum: 1 }),
  top_k: nullableInteger({ minimum: 0, maximum: MAX_TOKENS, description: '0 keeps all.' }),
  min_p: nullableNumber({ minimum: 0, maximum: 1 }),
  seed: nullableInteger({
    minimum: Number.MIN_SAFE_INTEGER,
    maximum: Number.MAX_SAFE_INTEGER - MAX_CHOICES,
    description: 'The n-th choice takes seed + n.',
  }),
  presence_penalty: nullableNumber({ minimum: -2, maximum: 2 }),
  frequency_penalty: nullableNumber({ minimum: -2, maximum: 2 }),
  repetition_penalty: nullableNumber({ exclusiveMinimum: 0, maximum: 10 }),
  logit_bias: readLater('Token id → what is added to its logit, -100 to 100.'),
  stop: Type.Optional(
    Type.Unsafe<string | string[] | null>({
      title: `a string, or an array of up to ${MAX_STOPS} strings, each of 1 to ${MAX_STOP_CHARACTERS} characters`,
      anyOf: [
        { type: 'string', minLength: 1, maxLength: MAX_STOP_CHARACTERS },
        {
          type: 'array',
          maxItems: MAX_STOPS,
          items: { type: 'string', minLength: 1, maxLength: MAX_STOP_CHARACTERS },
        },
        { type: 'null' },
      ],
    }),
  ),
  user: nullableString('The end user, for the log and for upstreams.'),
}

interface SharedBody {
  n?: number | null
  temperature?: number | null
  top_p?: number | null
  top_k?: number | null
  min_p?: number | null
  seed?: number | null
  presence_penalty?: number | null
  frequency_penalty?: number | null
  repetition_penalty?: number | null
  logit_bias?: unknown
  stop?: string | string[] | null
  stream?: boolean | null
  stream_options?: { include_usage?: boolean | null; include_obfuscation?: boolean | null } | null
}

/** @param logprobs alternatives to report for each token, null for no log-probabilities at all */
export function readSampling(body: SharedBody, logprobs: number | null): SamplingOptions {
  return {
    temperature: body.temperature ?? undefined,
    topP: body.top_p ?? undefined,
    topK: body.top_k ?? undefined,
    minP: body.min_p ?? undefined,
    seed: body.seed ?? undefined,
    presencePenalty: body.presence_penalty ?? undefined,
    frequencyPenalty: body.frequency_penalty ?? undefined,
    repetitionPenalty: body.repetition_penalty ?? undefined,
    logitBias: readLogitBias(body.logit_bias),
    logprobs: logprobs ?? undefined,
  }
}

/** What a body says beyond what is understood here. */
export function otherThan(understood: object, body: object): Record<string, unknown> {
  const extra: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(body)) {
    if (!Object.hasOwn(understood, name)) extra[name] = value
  }
  return extra
}

export function readStop(stop: SharedBody['stop']): string[] {
  return typeof stop === 'string' ? [stop] : (stop ?? [])
}

export function readStream(body: SharedBody): Pick<Asked, 'isStreamed' | 'includesUsage'> {
  const isStreamed = body.stream === true
  const options = body.stream_options
  if (options && !isStreamed) {
    throw new GatewayError(
      'invalid_value',
      "'stream_options' is allowed only where 'stream' is true.",
      { param: 'stream_options' },
    )
  }
  if (options?.include_obfuscation) {
    throw new GatewayError(
      'unsupported_parameter',
      "'stream_options.include_obfuscation' can't be honoured by this server; leave it out or send false.",
      { param: 'stream_options.include_obfuscation' },
    )
  }
  return { isStreamed, includesUsage: options?.include_usage === true }
}

function readLogitBias(biases: unknown): Record<number, number> | undefined {
  if (biases === undefined || biases === null) return undefined
  const refuse = (param: string, allowed: string, value: string) =>
    new GatewayError('invalid_value', `'${param}' must be ${allowed}; got ${value}.`, { param })
  if (typeof biases !== 'object' || Array.isArray(biases)) {
    throw refuse('logit_bias', 'an object of token ids and their biases', given(biases))
  }
  const entries = Object.entries(biases)
  if (entries.length > MAX_LOGIT_BIASES) {
    throw refuse('logit_bias', `at most ${MAX_LOGIT_BIASES} token ids`, String(entries.length))
  }
  for (const [id, bias] of entries) {
    if (!/^\d{1,9}$/.test(id)) {
      throw refuse('logit_bias', 'an object whose keys are token ids', `the key ${given(id)}`)
    }
    if (typeof bias !== 'number' || !(bias >= -100 && bias <= 100)) {
      throw refuse(`logit_bias.${id}`, 'a number from -100 to 100', given(bias))
    }
  }
  return entries.length > 0 ? (biases as Record<number, number>) : undefined
}
