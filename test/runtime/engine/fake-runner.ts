// A runner whose logits are a function of the tokens that its cache really holds, so that a token moved, lost or mixed up
// anywhere changes what comes out. Tokens computed one at a time count as different from the same tokens computed several
// at once, as they do on real kernels.

import type { RowOutput, Runner } from '../../../runtime/engine/runner.ts'

/** the logits of the token after these */
export type Model = (tokens: readonly number[]) => Float32Array

export interface FakeRunnerOptions {
  slots?: number
  capacity?: number
  vocabSize: number
  candidates?: number
  model: Model
}

export class FakeRunner implements Runner {
  readonly slots: number
  readonly capacity: number
  readonly vocabSize: number
  readonly candidates: number
  readonly calls: string[] = []
  readonly #model: Model
  // the tokens whose keys and values a slot holds; computed alone: negative, less one
  readonly #cache: number[][]
  #rows: Float32Array[] = []
  #output: RowOutput = 'none'

  constructor(options: FakeRunnerOptions) {
    this.slots = options.slots ?? 4
    this.capacity = options.capacity ?? 256
    this.vocabSize = options.vocabSize
    this.candidates = Math.min(options.candidates ?? 64, options.vocabSize)
    this.#model = options.model
    this.#cache = Array.from({ length: this.slots }, () => [])
  }

  prefill(slot: number, tokens: ArrayLike<number>, past: number, output: RowOutput): void {
    this.calls.push(`prefill ${tokens.length}`)
    const cache = this.#at(slot)
    if (past > cache.length)
      throw new Error(`slot ${slot} holds ${cache.length}, not ${past} tokens`)
    cache.length = past
    const isAlone = tokens.length === 1
    for (const token of Array.from(tokens)) cache.push(isAlone ? -token - 1 : token)
    if (cache.length > this.capacity) throw new Error(`slot ${slot} is over its capacity`)
    this.#output = output
    this.#rows = output === 'none' ? [] : [this.#model(cache)]
  }

  decode(tokens: ArrayLike<number>, lengths: ArrayLike<number>, output: RowOutput): void {
    this.calls.push(`decode ${tokens.length}`)
    this.#output = output
    this.#rows = Array.from(tokens, (token, slot) => {
      const cache = this.#at(slot)
      const past = lengths[slot]!
      if (past > cache.length)
        throw new Error(`slot ${slot} holds ${cache.length}, not ${past} tokens`)
      cache.length = past
      cache.push(-token - 1)
      if (cache.length > this.capacity) throw new Error(`slot ${slot} is over its capacity`)
      return this.#model(cache)
    })
  }

  candidateIds(row: number): Int32Array {
    return Int32Array.from(this.#ranked(row))
  }

  candidateLogprobs(row: number): Float32Array {
    const logits = this.#row(row)
    const best = Math.max(...logits)
    const norm = best + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - best), 0))
    return Float32Array.from(this.#ranked(row), (id) => logits[id]! - norm)
  }

  logits(row: number): Float32Array {
    if (this.#output !== 'logits') throw new Error('the last call was not asked for logits')
    return this.#row(row)
  }

  copy(from: number, to: number, length: number): void {
    const source = this.#at(from)
    if (length > source.length) throw new Error(`slot ${from} holds less than ${length} tokens`)
    this.calls.push(`copy ${length}`)
    this.#cache[to] = source.slice(0, length)
  }

  close(): void {}

  #ranked(row: number): number[] {
    const logits = this.#row(row)
    return Array.from(logits, (_, id) => id)
      .sort((a, b) => logits[b]! - logits[a]! || a - b)
      .slice(0, this.candidates)
  }

  #row(row: number): Float32Array {
    const logits = this.#rows[row]
    if (!logits) throw new Error(`there is no row ${row}`)
    return logits
  }

  #at(slot: number): number[] {
    const cache = this.#cache[slot]
    if (!cache) throw new Error(`there is no slot ${slot}`)
    return cache
  }
}

/** Logits that look random and depend on every token. */
export function hashingModel(vocabSize: number, sharpness = 3): Model {
  return (tokens) => {
    let hash = 17
    for (const token of tokens) hash = Math.imul(hash ^ token, 0x9e3779b1) ^ (hash >>> 15)
    return Float32Array.from({ length: vocabSize }, (_, id) => {
      let word = Math.imul(hash ^ (id + 1), 0x85ebca6b)
      word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35)
      return (((word ^ (word >>> 16)) >>> 0) / 2 ** 32) * sharpness
    })
  }
}

/** A model that says these tokens after any prompt of `promptTokens`, then the last one for ever. */
export function reciting(
  vocabSize: number,
  promptTokens: number,
  tokens: readonly number[],
): Model {
  return (held) => {
    const logits = new Float32Array(vocabSize)
    logits[tokens[Math.min(held.length - promptTokens, tokens.length - 1)]!] = 30
    return logits
  }
}
