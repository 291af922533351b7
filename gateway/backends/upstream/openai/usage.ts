// Token counts as OpenAI-compatible servers report them.

import type { AnswerUsage } from '../../backend.ts'

/** null where there are none, or none that can be read */
export function readUsage(usage: unknown): AnswerUsage | null {
  if (typeof usage !== 'object' || usage === null) return null
  const wire = usage as Record<string, unknown>
  const promptTokens = count(wire['prompt_tokens'])
  if (promptTokens === null) return null
  const reasoningTokens = detail(wire['completion_tokens_details'], 'reasoning_tokens')
  return {
    promptTokens,
    cachedTokens:
      detail(wire['prompt_tokens_details'], 'cached_tokens') ??
      // DeepSeek's name for it
      count(wire['prompt_cache_hit_tokens']) ??
      0,
    completionTokens: count(wire['completion_tokens']) ?? 0,
    ...(reasoningTokens !== null && { reasoningTokens }),
  }
}

function detail(details: unknown, name: string): number | null {
  if (typeof details !== 'object' || details === null) return null
  return count((details as Record<string, unknown>)[name])
}

function count(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null
}
