// One request's answer while it is made: tokens in, deltas out.
//
// A delta is made when there is something to say. Tokens whose text is held back (half a character, the possible beginning
// of a stop string) are counted with the delta that brings their text, and so are their log-probabilities; those of tokens
// behind a stop string are dropped with it.
//
// Knows: text. Does not know: how tokens are chosen, why an answer ends (except at a stop string).

import type { GenerateEvent, TokenLogprob } from '../../protocol.ts'
import type { Report } from '../sampling/sampler.ts'
import { Detokeniser } from './detokeniser.ts'
import { StopStrings } from './stop-strings.ts'
import type { TokenBytes } from './token-bytes.ts'

export type Delta = Extract<GenerateEvent, { type: 'delta' }>

export interface AnswerOptions {
  stop: readonly string[]
  /** the answer goes on from the prompt's text, rather than being a text of its own */
  isContinuation: boolean
  hasLogprobs: boolean
}

export class Answer {
  readonly #tokenBytes: TokenBytes
  readonly #detokeniser: Detokeniser
  readonly #stops: StopStrings
  readonly #hasLogprobs: boolean
  // since the last delta
  #tokens = 0
  #logprobs: { at: number; logprob: TokenLogprob }[] = []
  // characters of the text so far, held back ones included
  #length = 0

  constructor(tokenBytes: TokenBytes, options: AnswerOptions) {
    this.#tokenBytes = tokenBytes
    this.#detokeniser = new Detokeniser(tokenBytes, options.isContinuation)
    this.#stops = new StopStrings(options.stop)
    this.#hasLogprobs = options.hasLogprobs
  }

  /** whether a stop string ended it */
  get isStopped(): boolean {
    return this.#stops.isFound
  }

  /** @returns a delta, where the token brought text that is certain */
  push(token: number, report: Report | null): Delta | null {
    this.#tokens++
    if (report) this.#logprobs.push({ at: this.#length, logprob: this.#describe(token, report) })
    const text = this.#detokeniser.push(token)
    this.#length += text.length
    return this.#delta(this.#stops.push(text))
  }

  /** @returns the last delta, where anything is left to say */
  end(): Delta | null {
    if (this.isStopped) return null
    const rest = this.#detokeniser.end()
    this.#length += rest.length
    const text = this.#stops.push(rest) + this.#stops.end()
    // Tokens without any text still have their log-probabilities.
    return text === '' && this.#logprobs.length > 0 ? this.#make(text) : this.#delta(text)
  }

  #delta(text: string): Delta | null {
    if (this.isStopped) {
      const end = this.#length - this.#stops.cutLength
      this.#logprobs = this.#logprobs.filter(({ at }) => at < end)
    }
    return text === '' ? null : this.#make(text)
  }

  #make(text: string): Delta {
    const delta: Delta = { type: 'delta', text, tokens: this.#tokens }
    if (this.#hasLogprobs) delta.logprobs = this.#logprobs.map(({ logprob }) => logprob)
    this.#tokens = 0
    this.#logprobs = []
    return delta
  }

  #describe(token: number, { logprob, top }: Report): TokenLogprob {
    return {
      ...this.#name(token),
      logprob,
      top: top.map(({ id, logprob: topLogprob }) => ({ ...this.#name(id), logprob: topLogprob })),
    }
  }

  #name(token: number) {
    const bytes = Buffer.from(this.#tokenBytes.of(token))
    return { token: bytes.toString(), bytes: [...bytes] }
  }
}
