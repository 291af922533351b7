// A request inside the engine: its tokens, how many of them are computed, and when things happened to it.
//
// There are no phases: a new prompt is a sequence that is far behind, a decoding one is behind by one.
//
// Knows: token ids, the clock's readings. Does not know: text, logits, other sequences.

import type { Timings, Usage } from '../protocol.ts'
import type { LoadedAdapter } from './adapters.ts'
import type { Sampling } from './sampling/sampling.ts'

export interface SequenceOptions {
  id: string
  prompt: number[]
  /** most tokens to generate */
  limit: number
  sampling: Sampling
  /** what its rows go through beside the base */
  adapter?: LoadedAdapter | null
  /** when the engine got the request, by the clock that the other times are read from */
  receivedMs: number
}

export class Sequence {
  readonly id: string
  readonly promptTokens: number
  readonly limit: number
  readonly sampling: Sampling
  readonly adapter: LoadedAdapter | null
  /** the prompt and what was generated */
  readonly tokens: number[]
  /** tokens whose keys and values are in the cache */
  computed = 0
  /** those of them that were there already */
  cached = 0
  /** null while it waits */
  slot: number | null = null

  readonly #receivedMs: number
  #startedMs = 0
  #firstTokenMs = 0

  constructor(options: SequenceOptions) {
    this.id = options.id
    this.tokens = options.prompt
    this.promptTokens = options.prompt.length
    this.limit = options.limit
    this.sampling = options.sampling
    this.adapter = options.adapter ?? null
    this.#receivedMs = options.receivedMs
  }

  get generated(): number {
    return this.tokens.length - this.promptTokens
  }

  get isFilled(): boolean {
    return this.computed >= this.promptTokens
  }

  get isAtLimit(): boolean {
    return this.generated >= this.limit
  }

  get usage(): Usage {
    const { promptTokens, cached, generated } = this
    return { promptTokens, cachedTokens: cached, completionTokens: generated }
  }

  /** @returns how long it waited for a slot */
  start(nowMs: number): number {
    this.#startedMs = nowMs
    return nowMs - this.#receivedMs
  }

  push(token: number, nowMs: number): void {
    if (this.generated === 0) this.#firstTokenMs = nowMs
    this.tokens.push(token)
    this.sampling.took(token)
  }

  timings(nowMs: number): Timings {
    return {
      queueMs: this.#startedMs - this.#receivedMs,
      prefillMs: this.#firstTokenMs - this.#startedMs,
      decodeMs: nowMs - this.#firstTokenMs,
      timeToFirstTokenMs: this.#firstTokenMs - this.#receivedMs,
    }
  }
}
