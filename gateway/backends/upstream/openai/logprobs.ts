// Log-probabilities as chat completions and completions write them.

import type { TokenLogprob } from '../../../../runtime/protocol.ts'

interface WireLogprob {
  token: string
  logprob: number
  bytes?: number[] | null
  top_logprobs?: WireLogprob[]
}

/** Of a piece of a chat's answer; undefined where there are none. */
export function readChatLogprobs(logprobs: unknown): TokenLogprob[] | undefined {
  if (typeof logprobs !== 'object' || logprobs === null) return undefined
  const { content } = logprobs as { content?: unknown }
  if (!Array.isArray(content) || content.length === 0) return undefined
  return (content as WireLogprob[]).map((each) => ({
    ...readLogprob(each),
    top: (each.top_logprobs ?? []).map(readLogprob),
  }))
}

function readLogprob({ token, logprob, bytes }: WireLogprob) {
  return { token, logprob, bytes: bytes ?? [...Buffer.from(token)] }
}

/** Of a piece of a continued text. */
export function readTextLogprobs(logprobs: unknown): TokenLogprob[] | undefined {
  if (typeof logprobs !== 'object' || logprobs === null) return undefined
  const wire = logprobs as {
    tokens?: string[]
    token_logprobs?: (number | null)[]
    top_logprobs?: (Record<string, number> | null)[] | null
  }
  if (!Array.isArray(wire.tokens) || wire.tokens.length === 0) return undefined
  return wire.tokens.map((token, index) => ({
    token,
    bytes: [...Buffer.from(token)],
    // An echoed prompt's first token has none: NaN becomes null again in JSON.
    logprob: wire.token_logprobs?.[index] ?? NaN,
    top: Object.entries(wire.top_logprobs?.[index] ?? {}).map(([other, logprob]) => ({
      token: other,
      bytes: [...Buffer.from(other)],
      logprob,
    })),
  }))
}
