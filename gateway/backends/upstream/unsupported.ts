// What an upstream's API has no word for, refused by the name that the client gave it.
//
// A client that sends a seed and gets another answer each time has been lied to; another target may be able to, so the
// refusal is of the kind that routing takes elsewhere.
//
// Knows: our own questions. Does not know: wire formats; each of their writers says what it can.

import { GatewayError } from '../../errors.ts'
import type { Chat, Dialect, EmbeddingQuestion, Question } from '../backend.ts'
import type { Part } from '../conversation.ts'
import type { SamplingOptions } from '../../../runtime/protocol.ts'

/** @param why the rest of a sentence: "…can't be honoured by this model: <why>." */
export function cantHonour(param: string, why = 'leave it out'): GatewayError {
  return new GatewayError(
    'unsupported_parameter',
    `'${param}' can't be honoured by this model: ${why}.`,
    { param },
  )
}

/** Positions are the client's own only in a dialect whose messages are ours, one for one. */
export function messagePath({ dialect, promptParam }: Chat, index: number): string {
  return dialect === 'openai' ? `${promptParam}[${index}]` : promptParam
}

export function cantTake(part: Part, path: string, why: string): GatewayError {
  const article = /^[aeiou]/.test(part.type) ? 'an' : 'a'
  return new GatewayError(
    'unsupported_parameter',
    `A part with ${article} ${part.type} in '${path}' can't be given to this model: ${why}.`,
    { param: path },
  )
}

/** For upstreams that answer conversations only. */
export function chatOnly(question: Question): Chat {
  if (question.kind === 'chat') return question
  throw new GatewayError(
    'unsupported_parameter',
    'This model answers conversations and does not continue texts: ask it with POST /v1/chat/completions.',
    { param: question.promptParam },
  )
}

/** our name → OpenAI's, which is what those clients wrote that can say it, and the value that changes nothing */
const SAMPLING: Record<keyof SamplingOptions, [param: string, harmless?: number]> = {
  temperature: ['temperature'],
  topP: ['top_p', 1],
  topK: ['top_k', 0],
  minP: ['min_p', 0],
  seed: ['seed'],
  presencePenalty: ['presence_penalty', 0],
  frequencyPenalty: ['frequency_penalty', 0],
  repetitionPenalty: ['repetition_penalty', 1],
  logitBias: ['logit_bias'],
  logprobs: ['logprobs'],
}

/** @throws GatewayError that names the first option which is set and not among those that `can` be honoured */
export function refuseSampling(sampling: SamplingOptions, can: (keyof SamplingOptions)[]) {
  for (const [option, [param, harmless]] of Object.entries(SAMPLING)) {
    const name = option as keyof SamplingOptions
    const value = sampling[name]
    if (value === undefined || value === harmless || can.includes(name)) continue
    throw cantHonour(param)
  }
}

type Harmless = (value: unknown) => boolean

const always: Harmless = () => true
const only =
  (...values: unknown[]): Harmless =>
  (value) =>
    values.includes(value)

/** what asks for what happens anyway, or only tells one API about the client */
const HARMLESS = new Map(
  Object.entries<Harmless>({
    metadata: always,
    safety_identifier: always,
    prompt_cache_key: always,
    prompt_cache_retention: always,
    cache_control: always,
    store: only(false),
    background: only(false),
    truncation: only('disabled'),
    service_tier: only('auto', 'default'),
    encoding_format: only('float', 'base64'),
    modalities: (value) => Array.isArray(value) && value.length === 1 && value[0] === 'text',
  }),
)

/** What the body said that isn't understood here: as it is for an upstream of the same dialect, else refused by name. */
export function passExtra(
  { extra, dialect }: Pick<Question, 'extra' | 'dialect'>,
  spoken: Dialect,
): Record<string, unknown> {
  if (dialect === spoken) return extra
  refuseExtra(extra)
  return {}
}

export function refuseExtra(extra: EmbeddingQuestion['extra']) {
  for (const [name, value] of Object.entries(extra)) {
    if (value === undefined || value === null || HARMLESS.get(name)?.(value)) continue
    throw cantHonour(name.slice(0, 60))
  }
}
