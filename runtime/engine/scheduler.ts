// Decides what the next step computes, and for whom.
//
// A step is a chunk of prefill, then one decode of all that are filled. A long prompt is cut into chunks, so that it delays
// the others by one at a time; short ones share a chunk, so that a burst of them is not let in one by one. Sequences that
// decode are in slots 0…live−1. The one that fills is anywhere behind them, and moves up when it joins: the others may
// have ended meanwhile, and moving it with each of them would copy a long prompt again and again.
//
// Knows: sequences and slots. Does not know: text, tensors, sampling, time.

import type { Runner } from './runner.ts'
import type { Sequence } from './sequence.ts'
import { Slots } from './slots.ts'

export interface SchedulerOptions {
  /** most prompt tokens of one step */
  prefillChunk: number
  /** sequences that may wait for a slot */
  maxWaiting: number
}

/** Part of a prompt, computed in one go. */
export interface Piece {
  sequence: Sequence
  slot: number
  tokens: number[]
  /** tokens that the slot holds already */
  past: number
  isFirst: boolean
  isLast: boolean
}

/** The next token of each live sequence; arrays are valid until the next call. */
export interface Batch {
  tokens: Int32Array
  lengths: Int32Array
  /** place of each one's adapter in the runner; 0: none */
  adapters: Int32Array
}

// A piece is never one token where the prompt has more (slots.ts says why), and a chunk gives one up to avoid that.
const LEAST_CHUNK = 3

export class Scheduler {
  readonly #options: SchedulerOptions
  readonly #capacity: number
  readonly #slots: Slots
  readonly #waiting: Sequence[] = []
  readonly #tokens: Int32Array
  readonly #lengths: Int32Array
  readonly #adapters: Int32Array
  #filling: Sequence | null = null
  #live = 0

  constructor(runner: Pick<Runner, 'slots' | 'capacity' | 'copy'>, options: SchedulerOptions) {
    if (options.prefillChunk < LEAST_CHUNK) {
      throw new Error(`prefillChunk must be at least ${LEAST_CHUNK}; got ${options.prefillChunk}.`)
    }
    this.#options = options
    this.#capacity = runner.capacity
    this.#slots = new Slots(runner.slots, runner)
    this.#tokens = new Int32Array(runner.slots)
    this.#lengths = new Int32Array(runner.slots)
    this.#adapters = new Int32Array(runner.slots)
  }

  get waiting(): number {
    return this.#waiting.length
  }

  get running(): number {
    return this.#live + (this.#filling ? 1 : 0)
  }

  get isIdle(): boolean {
    return this.running === 0 && this.#waiting.length === 0
  }

  /** tokens that running sequences hold in the cache */
  get heldTokens(): number {
    let held = this.#filling?.computed ?? 0
    for (let slot = 0; slot < this.#live; slot++) held += this.liveAt(slot).computed
    return held
  }

  /** @returns whether there is room for it to wait in */
  add(sequence: Sequence): boolean {
    const free = this.#slots.count - this.running
    if (this.#waiting.length >= free + this.#options.maxWaiting) return false
    this.#waiting.push(sequence)
    return true
  }

  /**
   * The next piece of prompt to compute in this step.
   * @param budget prompt tokens that the step may still compute; the whole chunk for its first piece
   */
  nextPiece(budget: number): Piece | null {
    const sequence = this.#filling ?? (budget > 0 ? this.#admit() : null)
    if (!sequence || sequence.slot === null) return null
    const { computed, promptTokens } = sequence
    const rest = promptTokens - computed
    // What is left of a chunk goes to a prompt that ends in it; a longer one begins with a chunk of its own.
    if (rest > budget && budget < this.#options.prefillChunk) return null
    const count = rest <= budget ? rest : rest === budget + 1 ? budget - 1 : budget
    return {
      sequence,
      slot: sequence.slot,
      tokens: sequence.tokens.slice(computed, computed + count),
      past: computed,
      isFirst: computed === sequence.cached,
      isLast: count === rest,
    }
  }

  /** The filling sequence has its first token: from now on it decodes. */
  join(sequence: Sequence): void {
    if (sequence !== this.#filling || sequence.slot === null) {
      throw new Error(`${sequence.id} joins without having been filled. This is a bug.`)
    }
    if (sequence.slot !== this.#live) this.#slots.move(sequence.slot, this.#live)
    this.#filling = null
    this.#live++
  }

  /** The decode step of all live sequences; null where there are none. */
  nextBatch(): Batch | null {
    const count = this.#live
    if (count === 0) return null
    for (let slot = 0; slot < count; slot++) {
      const { tokens, computed, adapter } = this.liveAt(slot)
      this.#tokens[slot] = tokens[computed]!
      this.#lengths[slot] = computed
      this.#adapters[slot] = adapter?.place ?? 0
    }
    return {
      tokens: this.#tokens.subarray(0, count),
      lengths: this.#lengths.subarray(0, count),
      adapters: this.#adapters.subarray(0, count),
    }
  }

  liveAt(slot: number): Sequence {
    const sequence = slot < this.#live ? this.#slots.at(slot) : null
    if (!sequence) throw new Error(`Slot ${slot} is not live. This is a bug.`)
    return sequence
  }

  /** Ends a sequence, wherever it is. The last live one takes its place: end those behind it first. */
  remove(sequence: Sequence): void {
    const { slot } = sequence
    if (slot === null) {
      const place = this.#waiting.indexOf(sequence)
      if (place >= 0) this.#waiting.splice(place, 1)
      return
    }
    this.#slots.leave(sequence)
    if (sequence === this.#filling) {
      this.#filling = null
      return
    }
    this.#live--
    if (slot !== this.#live) this.#slots.move(this.#live, slot)
  }

  /** @throws where an invariant is broken */
  check(): void {
    this.#slots.check(this.#capacity)
    for (let slot = 0; slot < this.#slots.count; slot++) {
      const sequence = this.#slots.at(slot)
      const isDecoding =
        sequence !== null && sequence.isFilled && sequence.computed === sequence.tokens.length - 1
      const isRight =
        slot < this.#live ? isDecoding : sequence === null || sequence === this.#filling
      if (!isRight)
        throw new Error(`Slot ${slot} of ${this.#live} live ones is wrong. This is a bug.`)
    }
    if (this.#waiting.some(({ slot }) => slot !== null)) {
      throw new Error('A sequence that waits has a slot. This is a bug.')
    }
  }

  #admit(): Sequence | null {
    if (this.#live === this.#slots.count) return null
    const sequence = this.#waiting.shift()
    if (!sequence) return null
    this.#slots.occupy(this.#live, sequence)
    this.#filling = sequence
    return sequence
  }
}
