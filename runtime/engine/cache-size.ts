// How many sequences an engine runs at once, and how long they may be, so that its KV cache stays within its budget.
//
// Memory is only occupied where it is used, so as many slots as were asked for are made wherever all of them could be full
// at once. Where they could not, length is given up before company: eight sequences of 4096 tokens serve more people than
// one of 32,768. Below that, it is the other way round.

import type { DecoderManifest } from '../../models/manifest.ts'

export interface CacheSize {
  slots: number
  /** tokens of one slot */
  capacity: number
}

export interface CacheDemand {
  slots: number
  contextTokens: number
  bytesPerToken: number
  budgetBytes: number
}

export const WORTHWHILE_SLOTS = 8
const WORTHWHILE_TOKENS = 4096

/** Bytes of KV cache that one token of one sequence takes. */
export function kvBytesPerToken({
  architecture,
  graph,
}: Pick<DecoderManifest, 'architecture' | 'graph'>) {
  const { layers, kvHeads, headDim } = architecture
  return 2 * layers * kvHeads * headDim * (graph.kvType === 'f16' ? 2 : 4)
}

/** @throws where not even one sequence fits, with the figures */
export function chooseCacheSize(demand: CacheDemand): CacheSize {
  const { slots, contextTokens, bytesPerToken, budgetBytes } = demand
  const fitting = (capacity: number) => Math.floor(budgetBytes / (capacity * bytesPerToken))
  let capacity = contextTokens
  while (fitting(capacity) < Math.min(slots, WORTHWHILE_SLOTS) && capacity > WORTHWHILE_TOKENS) {
    capacity = Math.max(WORTHWHILE_TOKENS, Math.ceil(capacity / 2))
  }
  if (fitting(capacity) === 0) {
    const needed = Math.ceil((capacity * bytesPerToken) / 2 ** 20)
    const given = Math.floor(budgetBytes / 2 ** 20)
    throw new Error(
      `The KV cache of one sequence of ${capacity} tokens takes ${needed} MiB, and the budget is ${given} MiB: ` +
        'allow more memory or fewer tokens.',
    )
  }
  return { slots: Math.min(slots, fitting(capacity)), capacity }
}
