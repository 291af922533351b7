// What requests for chat completions and completions have in common, and what neither can take over from the client.

import { GatewayError } from '../../../errors.ts'
import type { Question } from '../../backend.ts'

/** How one server differs from others that speak the same dialect. */
export interface WireOptions {
  /** a stream is asked for its usage; some servers refuse the question */
  streamUsage: boolean
  /** chat completions' name for the most tokens: OpenAI's newer models take the newer one only, others the older */
  maxTokensField: 'max_tokens' | 'max_completion_tokens'
  /** the name under which the server wants the model's earlier reasoning back; null: it does not */
  reasoningField: string | null
  /** messages of the role `developer` are known; servers of open models have `system` for both */
  hasDeveloperRole: boolean
}

export function generationBody(
  question: Question,
  model: string,
  { streamUsage }: WireOptions,
  maxTokensField: string,
): Record<string, unknown> {
  const { sampling, choices, maxTokens, stop, user, isStreamed } = question
  const body: Record<string, unknown> = { model }
  if (isStreamed) {
    body['stream'] = true
    if (streamUsage) body['stream_options'] = { include_usage: true }
  }
  if (choices !== 1) body['n'] = choices
  if (maxTokens !== undefined) body[maxTokensField] = maxTokens
  if (stop.length > 0) body['stop'] = stop
  if (user !== undefined) body['user'] = user
  for (const [field, name] of SAMPLING) {
    const value = sampling[field]
    if (value !== undefined) body[name] = value
  }
  return body
}

/** The last three are not OpenAI's, whose own server refuses them by name. Log-probabilities differ from kind to kind. */
const SAMPLING = [
  ['temperature', 'temperature'],
  ['topP', 'top_p'],
  ['seed', 'seed'],
  ['presencePenalty', 'presence_penalty'],
  ['frequencyPenalty', 'frequency_penalty'],
  ['logitBias', 'logit_bias'],
  ['topK', 'top_k'],
  ['minP', 'min_p'],
  ['repetitionPenalty', 'repetition_penalty'],
] as const

/**
 * @param untellable names of the dialect that may not go through, and which of their values
 * @throws GatewayError that names the first of them, or what another dialect has no counterpart for here
 */
export function refuseExtra(
  { extra, dialect }: Pick<Question, 'extra' | 'dialect'>,
  untellable: ReadonlyMap<string, (value: unknown) => boolean> = new Map(),
): void {
  for (const name in extra) {
    const value = extra[name]
    if (value === undefined || value === null) continue
    const isTaken = dialect === 'openai' && !untellable.get(name)?.(value)
    if (isTaken) continue
    throw new GatewayError(
      'unsupported_parameter',
      `'${name}' can't be honoured by the upstream that answers for this model: leave it out.`,
      { param: name },
    )
  }
}
