// How many tokens a request may generate.

import { Refusal } from './refusal.ts'

/** @throws Refusal where there is no such number, or prompt and answer do not fit the context */
export function tokenLimit(
  promptTokens: number,
  maxTokens: number | undefined,
  contextTokens: number,
): number {
  if (maxTokens !== undefined && (!Number.isInteger(maxTokens) || maxTokens < 1)) {
    const message = `maxTokens must be a whole number of at least 1; got ${maxTokens}.`
    throw new Refusal('invalid_request', message)
  }
  if (promptTokens >= contextTokens) {
    throw new Refusal(
      'context_length_exceeded',
      `This version's context is ${contextTokens} tokens; the prompt alone has ${promptTokens}.`,
      { promptTokens, contextTokens, ...(maxTokens !== undefined && { maxTokens }) },
    )
  }
  if (maxTokens !== undefined && promptTokens + maxTokens > contextTokens) {
    throw new Refusal(
      'context_length_exceeded',
      `This version's context is ${contextTokens} tokens; asked for were ` +
        `${promptTokens + maxTokens}: ${promptTokens} of the prompt and ${maxTokens} for the answer.`,
      { promptTokens, maxTokens, contextTokens },
    )
  }
  return maxTokens ?? contextTokens - promptTokens
}
