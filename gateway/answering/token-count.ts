// How many tokens a prompt has: measured by a target that would answer it, or else estimated.
//
// A count is a hint before the real thing, so nobody is made to wait or retry for it: what fails is estimated. Only a
// refusal of the request itself is told, as the answer would be refused in the same words.
//
// Knows: routes, backends. Does not know: HTTP, dialects.

import { GatewayError } from '../errors.ts'
import { estimatePromptTokens } from '../backends/upstream/estimate.ts'
import type { Chat } from '../backends/backend.ts'
import type { Route } from '../routing/route.ts'

/** for all targets together; who counts answers in a fraction of it */
const COUNT_TIMEOUT_MS = 10_000

interface TokenCount {
  tokens: number
  isEstimated: boolean
}

/** @throws GatewayError where the request is at fault; the signal's reason */
export async function countTokens(
  { targets, fallbacks }: Route,
  chat: Chat,
  signal: AbortSignal,
): Promise<TokenCount> {
  const inTime = AbortSignal.any([signal, AbortSignal.timeout(COUNT_TIMEOUT_MS)])
  const used = [...targets.filter(({ weight }) => weight > 0), ...fallbacks]
  for (const { backend, asks } of used) {
    if (!backend.countTokens || inTime.aborted) continue
    try {
      const tokens = await backend.countTokens(chat, { version: asks, signal: inTime })
      return { tokens, isEstimated: false }
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof GatewayError && error.kind.outcome === 'refused') throw error
    }
  }
  return { tokens: estimatePromptTokens(chat), isEstimated: true }
}
