// Texts to be continued, as completions take them.

import { GatewayError } from '../../../errors.ts'
import { generationBody, refuseExtra } from './generation-body.ts'
import type { Completion, TextPrompt } from '../../backend.ts'
import type { WireOptions } from './generation-body.ts'

/** @throws GatewayError that names what completions can't say */
export function completionBody(
  completion: Completion,
  model: string,
  options: WireOptions,
): object {
  refuseExtra(completion)
  const { prompts, promptParam, echo, sampling } = completion
  return {
    ...completion.extra,
    ...generationBody(completion, model, options, 'max_tokens'),
    prompt: wirePrompts(prompts, promptParam),
    ...(sampling.logprobs !== undefined && { logprobs: sampling.logprobs }),
    ...(echo && { echo }),
  }
}

/** One alone, or a list of one kind: strings, or lists of token ids. */
export function wirePrompts(prompts: TextPrompt[], param: string): unknown {
  const wire = prompts.map((prompt) => (prompt.kind === 'text' ? prompt.text : prompt.ids))
  if (new Set(prompts.map(({ kind }) => kind)).size > 1) {
    throw new GatewayError('invalid_value', `'${param}' must be all texts or all token ids.`, {
      param,
    })
  }
  return wire.length === 1 ? wire[0] : wire
}
