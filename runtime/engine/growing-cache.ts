// Keys and values of every slot for graphs that write a longer copy of them with each call.
//
// A slot's are packed, [kvHeads, length, headDim], so that its length decides where a head begins; each slot's length is
// known here for that reason.
//
// Knows: memory and lengths. Does not know: tokens, logits.

import { NativeMemory } from '../ort/memory.ts'
import { ELEMENT_BYTES } from '../ort/session.ts'
import type { Session, Tensor } from '../ort/session.ts'
import type { SlotCacheShape } from './slot-cache.ts'

interface Part {
  past: string
  present: string
  slots: NativeMemory[]
  spare: NativeMemory
}

/** A call that is to make a slot longer. */
interface Growth {
  /** the call went well: what it wrote is the slot's */
  commit(): void
  release(): void
}

export class GrowingCache {
  readonly #session: Session
  readonly #shape: SlotCacheShape
  readonly #parts: Part[]
  readonly #lengths: number[]
  readonly #tokenBytes: number

  constructor(
    session: Session,
    ports: readonly { past: string; present: string }[],
    shape: SlotCacheShape,
  ) {
    const { slots, capacity, kvHeads, headDim, type } = shape
    this.#session = session
    this.#shape = shape
    this.#tokenBytes = headDim * ELEMENT_BYTES[type]
    const make = () => new NativeMemory(kvHeads * capacity * this.#tokenBytes)
    this.#parts = ports.map((port) => ({
      ...port,
      slots: Array.from({ length: slots }, make),
      spare: make(),
    }))
    this.#lengths = Array.from({ length: slots }, () => 0)
  }

  /** Adds the first `past` tokens of a slot to a call, and room for `count` more. */
  bind(
    slot: number,
    past: number,
    count: number,
    inputs: Map<string, Tensor>,
    outputs: Map<string, Tensor>,
  ): Growth {
    const { capacity, kvHeads, headDim, type } = this.#shape
    if (past > this.#lengths[slot]! || past + count > capacity) {
      throw new Error(
        `${count} tokens behind ${past} in slot ${slot} of ${capacity}, which holds ${this.#lengths[slot]}. ` +
          'This is a bug.',
      )
    }
    this.#cut(slot, past)
    const held: Tensor[] = []
    const tensor = (length: number, { address }: NativeMemory) => {
      const made = this.#session.tensor(type, [1, kvHeads, length, headDim], address)
      held.push(made)
      return made
    }
    for (const part of this.#parts) {
      inputs.set(part.past, tensor(past, part.slots[slot]!))
      outputs.set(part.present, tensor(past + count, part.spare))
    }
    return {
      commit: () => {
        for (const part of this.#parts) {
          const written = part.spare
          part.spare = part.slots[slot]!
          part.slots[slot] = written
        }
        this.#lengths[slot] = past + count
      },
      release: () => {
        for (const made of held) this.#session.release(made)
      },
    }
  }

  /** Copies the first `length` tokens' keys and values of one slot over those of another. */
  copy(from: number, to: number, length: number): void {
    const stride = this.#lengths[from]!
    for (const { slots } of this.#parts) {
      this.#repack(slots[from]!, slots[to]!, stride, length)
    }
    this.#lengths[to] = length
  }

  free(): void {
    for (const { slots, spare } of this.#parts) {
      for (const memory of [...slots, spare]) memory.free()
    }
  }

  /** Forgets what a slot holds behind its first `length` tokens. */
  #cut(slot: number, length: number): void {
    const stride = this.#lengths[slot]!
    if (stride === length) return
    for (const { slots } of this.#parts) this.#repack(slots[slot]!, slots[slot]!, stride, length)
    this.#lengths[slot] = length
  }

  /** Within one memory too: heads move towards the start, one after the other. */
  #repack(from: NativeMemory, to: NativeMemory, stride: number, length: number): void {
    const source = new Uint8Array(from.buffer)
    const target = new Uint8Array(to.buffer)
    const bytes = length * this.#tokenBytes
    for (let head = 0; head < this.#shape.kvHeads; head++) {
      const start = head * stride * this.#tokenBytes
      target.set(source.subarray(start, start + bytes), head * bytes)
    }
  }
}
