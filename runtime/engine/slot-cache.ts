// Keys and values of every slot, in memory of the device that the graph reads as past and writes as present.
//
// Each layer's keys, and its values, are one allocation [slots, kvHeads, capacity, headDim]: a decode step over slots
// 0…n−1 is a view of n at offset 0, a prefill is a view of one. Past and present are the same memory, so nothing is
// copied from step to step. On the processor capacity costs nothing until it is used.
//
// Knows: tensors and their memory. Does not know: which graph, sequences.

import type { ComputeDevice, DeviceMemory } from '../ort/device.ts'
import { ELEMENT_BYTES } from '../ort/session.ts'
import type { Session, Tensor } from '../ort/session.ts'

export interface SlotCacheShape {
  slots: number
  /** tokens of a slot */
  capacity: number
  kvHeads: number
  headDim: number
  type: 'f32' | 'f16'
}

export class SlotCache {
  readonly #session: Session
  readonly #device: ComputeDevice
  readonly #shape: SlotCacheShape
  readonly #parts: { past: string; present: string; memory: DeviceMemory }[]
  readonly #slotBytes: number
  readonly #headBytes: number
  readonly #tokenBytes: number
  readonly #views = new Map<string, Tensor[]>()

  /** @param ports the graph's names, in any order */
  constructor(
    session: Session,
    device: ComputeDevice,
    ports: readonly { past: string; present: string }[],
    shape: SlotCacheShape,
  ) {
    this.#session = session
    this.#device = device
    this.#shape = shape
    this.#tokenBytes = shape.headDim * ELEMENT_BYTES[shape.type]
    this.#headBytes = shape.capacity * this.#tokenBytes
    this.#slotBytes = shape.kvHeads * this.#headBytes
    this.#parts = ports.map(({ past, present }) => ({
      past,
      present,
      memory: session.allocate(device, shape.slots * this.#slotBytes),
    }))
  }

  /** Adds past and present of `batch` slots from `slot` on to a call. */
  bind(slot: number, batch: number, inputs: Map<string, Tensor>, outputs: Map<string, Tensor>) {
    const views = this.#viewsOf(slot, batch)
    for (const [index, { past, present }] of this.#parts.entries()) {
      inputs.set(past, views[index]!)
      outputs.set(present, views[index]!)
    }
  }

  /** Copies the first `length` tokens' keys and values of one slot over those of another. */
  copy(from: number, to: number, length: number): void {
    const copy = {
      from: from * this.#slotBytes,
      to: to * this.#slotBytes,
      rows: this.#shape.kvHeads,
      rowBytes: length * this.#tokenBytes,
      strideBytes: this.#headBytes,
    }
    for (const { memory } of this.#parts) memory.copyRows(copy)
    this.#device.settle()
  }

  free(): void {
    for (const { memory } of this.#parts) memory.free()
  }

  /** built once for each view */
  #viewsOf(slot: number, batch: number): Tensor[] {
    const key = `${slot} ${batch}`
    let views = this.#views.get(key)
    if (!views) {
      const { kvHeads, capacity, headDim, type } = this.#shape
      const shape = [batch, kvHeads, capacity, headDim]
      const offset = BigInt(slot * this.#slotBytes)
      views = this.#parts.map(({ memory }) =>
        this.#session.tensor(type, shape, memory.address + offset, memory.where),
      )
      this.#views.set(key, views)
    }
    return views
  }
}
