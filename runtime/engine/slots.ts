// What each slot of the cache holds: a sequence that runs, the prompt of one that has ended, or nothing.
//
// Only prompts are used again, and never their last two tokens. Keys and values of tokens that were decoded one by one
// differ in their last bits from those that were computed several at once (other kernels, another order of summing), so an
// answer continued on top of them would depend on what happened to be cached. This way a request's tokens are a function of
// the request: cache or no cache, the same pieces of at least two tokens are computed, and those are bit-equal however the
// prompt is cut. It costs to compute the last answer of a conversation again, at prefill's speed.
//
// Keys and values that went through an adapter are good for that adapter alone.
//
// Keeping is cheap beside computing: copying a token's keys and values takes a fortieth of the time.
//
// Knows: slots and their tokens. Does not know: who waits, who is next, logits.

import type { LoadedAdapter } from './adapters.ts'
import type { Runner } from './runner.ts'
import type { Sequence } from './sequence.ts'

/** tokens of a prompt that are always computed: a piece of one would run on decode's kernels */
const FRESH_TOKENS = 2

interface Slot {
  sequence: Sequence | null
  /** what is left here by a sequence that has ended */
  kept: number[]
  /** how many of `kept` are good for use */
  keptLength: number
  /** what they went through */
  keptAdapter: LoadedAdapter | null
  usedAt: number
}

export class Slots {
  readonly #slots: Slot[]
  readonly #cache: Pick<Runner, 'copy'>
  #clock = 0

  constructor(count: number, cache: Pick<Runner, 'copy'>) {
    const empty = (): Slot => ({
      sequence: null,
      kept: [],
      keptLength: 0,
      keptAdapter: null,
      usedAt: 0,
    })
    this.#slots = Array.from({ length: count }, empty)
    this.#cache = cache
  }

  get count(): number {
    return this.#slots.length
  }

  at(index: number): Sequence | null {
    return this.#slot(index).sequence
  }

  /** Gives an idle slot to a sequence, with as much of its prompt as any slot holds. */
  occupy(index: number, sequence: Sequence): void {
    const slot = this.#slot(index)
    const { index: source, shared } = this.#longestPrefix(sequence, index)
    const isHere = source === index
    if (!isHere || !isMostOf(shared, slot)) this.#keepElsewhere(index, source)
    if (shared > 0 && !isHere) {
      this.#cache.copy(source, index, shared)
      const origin = this.#slot(source)
      // A conversation goes on: what it leaves behind is all in its new place.
      if (!origin.sequence && isMostOf(shared, origin)) this.#empty(source)
      else origin.usedAt = ++this.#clock
    }
    this.#empty(index)
    slot.sequence = sequence
    sequence.slot = index
    sequence.computed = shared
    sequence.cached = shared
  }

  /** Moves a sequence to an idle slot. */
  move(from: number, to: number): void {
    const sequence = this.at(from)
    if (!sequence || this.at(to)) {
      throw new Error(`A sequence can't move from slot ${from} to ${to}. This is a bug.`)
    }
    this.#keepElsewhere(to, from)
    this.#cache.copy(from, to, sequence.computed)
    this.#empty(to)
    this.#empty(from)
    this.#slot(to).sequence = sequence
    sequence.slot = to
  }

  /** Ends a sequence's stay; its prompt is kept. */
  leave(sequence: Sequence): void {
    if (sequence.slot === null) throw new Error(`${sequence.id} has no slot. This is a bug.`)
    const slot = this.#slot(sequence.slot)
    slot.keptLength = reusable(slot)
    slot.kept = sequence.tokens
    slot.keptAdapter = sequence.adapter
    slot.sequence = null
    slot.usedAt = ++this.#clock
    sequence.slot = null
  }

  /** @throws where an invariant is broken */
  check(capacity: number): void {
    for (const [index, { sequence, kept, keptLength }] of this.#slots.entries()) {
      const claim = (isTrue: boolean, what: string) => {
        if (!isTrue) throw new Error(`Slot ${index}: ${what}. This is a bug.`)
      }
      claim(keptLength <= kept.length, 'more tokens are kept than it holds')
      if (!sequence) continue
      claim(sequence.slot === index, `its sequence believes to be in ${sequence.slot}`)
      claim(keptLength === 0, 'a running sequence shares it with an ended one')
      claim(sequence.computed <= capacity, `${sequence.computed} tokens are too many`)
      claim(sequence.computed < sequence.tokens.length, 'nothing is left to compute')
      claim(sequence.cached <= Math.max(0, sequence.promptTokens - FRESH_TOKENS), 'too much reused')
    }
  }

  #slot(index: number): Slot {
    const slot = this.#slots[index]
    if (!slot) throw new Error(`There is no slot ${index}. This is a bug.`)
    return slot
  }

  #empty(index: number): void {
    const slot = this.#slot(index)
    slot.sequence = null
    slot.kept = []
    slot.keptLength = 0
    slot.keptAdapter = null
    slot.usedAt = 0
  }

  /** @param preferred wins among equals: nothing has to be copied */
  #longestPrefix({ tokens, promptTokens, adapter }: Sequence, preferred: number) {
    const most = promptTokens - FRESH_TOKENS
    let index = preferred
    let shared = 0
    for (const [other, slot] of this.#slots.entries()) {
      if ((slot.sequence ? slot.sequence.adapter : slot.keptAdapter) !== adapter) continue
      const held = slot.sequence ? slot.sequence.tokens : slot.kept
      const limit = Math.min(most, reusable(slot))
      let length = 0
      while (length < limit && held[length] === tokens[length]) length++
      if (length > shared || (length === shared && other === preferred)) {
        index = other
        shared = length
      }
    }
    return { index, shared }
  }

  /** Copies what an idle slot keeps to the slot that was least recently used, unless that is itself. */
  #keepElsewhere(index: number, except: number): void {
    const slot = this.#slot(index)
    if (slot.keptLength === 0) return
    let oldest: number | null = null
    let usedAt = slot.usedAt
    for (const [other, { sequence, usedAt: otherUsedAt }] of this.#slots.entries()) {
      if (sequence || other === index || other === except || otherUsedAt >= usedAt) continue
      oldest = other
      usedAt = otherUsedAt
    }
    if (oldest === null) return
    this.#cache.copy(index, oldest, slot.keptLength)
    Object.assign(this.#slot(oldest), slot)
  }
}

/** Tokens of a slot that another prompt may begin with. */
function reusable({ sequence, keptLength }: Slot): number {
  if (!sequence) return keptLength
  const { promptTokens, computed } = sequence
  return promptTokens < FRESH_TOKENS ? 0 : Math.min(promptTokens, computed)
}

function isMostOf(shared: number, slot: Slot): boolean {
  return shared * 2 >= reusable(slot)
}
