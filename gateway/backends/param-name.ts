// What a client's dialect calls a parameter that is ours, for errors that are about it.
//
// Names are chat completions'; here are those that differ.

import type { Dialect } from './backend.ts'

const NAMES: Partial<Record<Dialect, Record<string, string>>> = {
  'openai-responses': {
    response_format: 'text.format',
    reasoning_effort: 'reasoning.effort',
    max_tokens: 'max_output_tokens',
    logprobs: 'top_logprobs',
  },
  anthropic: {
    response_format: 'output_config.format',
    reasoning_effort: 'output_config.effort',
    parallel_tool_calls: 'tool_choice.disable_parallel_tool_use',
  },
}

/** @param name as chat completions have it */
export function paramName(name: string, dialect: Dialect): string {
  return NAMES[dialect]?.[name] ?? name
}
