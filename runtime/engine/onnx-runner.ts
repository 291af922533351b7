// Runs a version's graph over slots of KV cache that lie in memory shared with ONNX Runtime.
//
// Each layer's keys, and its values, are one allocation [slots, kvHeads, capacity, headDim]: a decode step over slots
// 0…n−1 is a view of n at offset 0, a prefill is a view of one. Past and present are the same memory, so nothing is
// copied from step to step, and capacity costs nothing until it is used.
//
// Knows: tensors and their memory. Does not know: sequences, text.

import path from 'node:path'

import type { Architecture, Manifest } from '../../models/manifest.ts'
import type { Ort } from '../ort/api.ts'
import { NativeMemory } from '../ort/memory.ts'
import { Session } from '../ort/session.ts'
import type { PreparedCall, Tensor } from '../ort/session.ts'
import type { RowOutput, Runner } from './runner.ts'

export interface OnnxRunnerOptions {
  slots: number
  /** tokens a slot has room for, at most the manifest's context length */
  capacity: number
  threads: number
  /** most tokens of one prefill call */
  maxPrefill: number
}

/** Bytes of KV cache that one token of one sequence takes. */
export function kvBytesPerToken(architecture: Architecture): number {
  return 2 * architecture.layers * architecture.kvHeads * architecture.headDim * 4
}

export class OnnxRunner implements Runner {
  readonly slots: number
  readonly capacity: number
  readonly vocabSize: number
  readonly candidates: number

  readonly #session: Session
  readonly #architecture: Architecture
  // keys and values of each layer, in the order of the graph's past.* inputs
  readonly #cache: { input: string; output: string; memory: NativeMemory }[]
  readonly #slotBytes: number
  readonly #headBytes: number
  readonly #tokenBytes: number

  readonly #ids: Cells<BigInt64Array>
  readonly #lastKeys: Cells<Int32Array>
  readonly #totalLength: Cells<Int32Array>
  readonly #rows: Cells<BigInt64Array>
  readonly #topValues: Cells<Float32Array>
  readonly #topIds: Cells<BigInt64Array>
  readonly #logits: Cells<Float32Array>
  // ids of the last call's candidates as plain numbers, [rows, candidates]
  readonly #candidateIds: Int32Array

  readonly #decodeCalls = new Map<string, PreparedCall>()
  readonly #slotViews = new Map<string, Map<string, Tensor>>()
  readonly #maxPrefill: number

  constructor(ort: Ort, folder: string, manifest: Manifest, options: OnnxRunnerOptions) {
    const { architecture, graph } = manifest
    this.slots = options.slots
    this.capacity = options.capacity
    this.vocabSize = architecture.vocabSize
    this.candidates = graph.candidates
    this.#architecture = architecture
    this.#maxPrefill = options.maxPrefill
    this.#session = new Session(ort, path.join(folder, graph.file), {
      threads: options.threads,
    })
    this.#tokenBytes = architecture.headDim * 4
    this.#headBytes = this.capacity * this.#tokenBytes
    this.#slotBytes = architecture.kvHeads * this.#headBytes
    this.#cache = Array.from({ length: architecture.layers }, (_, layer) =>
      ['k', 'v'].map((part) => ({
        input: `past.${layer}.${part}`,
        output: `present.${layer}.${part}`,
        memory: new NativeMemory(this.slots * this.#slotBytes),
      })),
    ).flat()
    const { slots, candidates } = this
    this.#ids = new Cells(Math.max(slots, options.maxPrefill) * 8, BigInt64Array)
    this.#lastKeys = new Cells(slots * 4, Int32Array)
    this.#totalLength = new Cells(4, Int32Array)
    this.#rows = new Cells(slots * 8, BigInt64Array)
    this.#topValues = new Cells(slots * candidates * 4, Float32Array)
    this.#topIds = new Cells(slots * candidates * 8, BigInt64Array)
    this.#logits = new Cells(slots * this.vocabSize * 4, Float32Array)
    this.#candidateIds = new Int32Array(slots * candidates)
  }

  prefill(slot: number, tokens: ArrayLike<number>, past: number, output: RowOutput): void {
    const count = tokens.length
    if (count === 0 || count > this.#maxPrefill || past + count > this.capacity) {
      throw new Error(
        `prefill of ${count} tokens behind ${past} in a slot of ${this.capacity}, ` +
          `${this.#maxPrefill} at once. This is a bug.`,
      )
    }
    const ids = this.#ids.view
    for (let i = 0; i < count; i++) ids[i] = BigInt(tokens[i]!)
    this.#lastKeys.view[0] = past + count - 1
    this.#totalLength.view[0] = past + count
    // A row is computed even where none is wanted: kernels divide by the number of rows and die of none.
    this.#rows.view[0] = BigInt(count - 1)
    const call = this.#prepare(slot, 1, count, 1, output)
    try {
      call.prepared.run()
    } finally {
      call.close()
    }
    if (output !== 'none') this.#readCandidates(1)
  }

  decode(tokens: ArrayLike<number>, lengths: ArrayLike<number>, output: RowOutput): void {
    const count = tokens.length
    let longest = 0
    for (let i = 0; i < count; i++) {
      const length = lengths[i]!
      if (length >= this.capacity) {
        throw new Error(`slot ${i} is full with ${length} tokens. This is a bug.`)
      }
      this.#ids.view[i] = BigInt(tokens[i]!)
      this.#lastKeys.view[i] = length
      this.#rows.view[i] = BigInt(i)
      longest = Math.max(longest, length + 1)
    }
    this.#totalLength.view[0] = longest
    const key = `${count} ${output}`
    let call = this.#decodeCalls.get(key)
    if (!call) {
      call = this.#prepare(0, count, 1, count, output).prepared
      this.#decodeCalls.set(key, call)
    }
    call.run()
    if (output !== 'none') this.#readCandidates(count)
  }

  candidateIds(row: number): Int32Array {
    const { candidates } = this
    return this.#candidateIds.subarray(row * candidates, (row + 1) * candidates)
  }

  candidateLogprobs(row: number): Float32Array {
    const { candidates } = this
    return this.#topValues.view.subarray(row * candidates, (row + 1) * candidates)
  }

  logits(row: number): Float32Array {
    const { vocabSize } = this
    return this.#logits.view.subarray(row * vocabSize, (row + 1) * vocabSize)
  }

  copy(from: number, to: number, length: number): void {
    for (const { memory } of this.#cache) {
      const bytes = new Uint8Array(memory.buffer)
      for (let head = 0; head < this.#architecture.kvHeads; head++) {
        const source = from * this.#slotBytes + head * this.#headBytes
        const target = to * this.#slotBytes + head * this.#headBytes
        bytes.copyWithin(target, source, source + length * this.#tokenBytes)
      }
    }
  }

  close(): void {
    this.#session.close()
    for (const { memory } of this.#cache) memory.free()
  }

  #prepare(slot: number, batch: number, length: number, rows: number, output: RowOutput) {
    const session = this.#session
    const own = {
      ids: session.tensor('i64', [batch, length], this.#ids.address),
      lastKeys: session.tensor('i32', [batch], this.#lastKeys.address),
      totalLength: session.tensor('i32', [1], this.#totalLength.address),
      rows: session.tensor('i64', [rows], this.#rows.address),
      topValues: session.tensor('f32', [rows, this.candidates], this.#topValues.address),
      topIds: session.tensor('i64', [rows, this.candidates], this.#topIds.address),
      logits: session.tensor('f32', [rows, this.vocabSize], this.#logits.address),
    }
    const cache = this.#views(slot, batch)
    const inputs = new Map<string, Tensor>([
      ['input_ids', own.ids],
      ['seqlens_k', own.lastKeys],
      ['total_len', own.totalLength],
      ['out_rows', own.rows],
    ])
    const outputs = new Map<string, Tensor>()
    for (const { input, output: present } of this.#cache) {
      const view = cache.get(input)!
      inputs.set(input, view)
      outputs.set(present, view)
    }
    if (output !== 'none') {
      outputs.set('top_values', own.topValues)
      outputs.set('top_ids', own.topIds)
    }
    if (output === 'logits') outputs.set('logits', own.logits)
    const prepared = session.prepare(inputs, outputs)
    const close = () => {
      prepared.close()
      for (const tensor of Object.values(own)) session.release(tensor)
    }
    return { prepared, close }
  }

  /** The cache's tensors for `batch` slots from `slot` on, by input name; built once. */
  #views(slot: number, batch: number): Map<string, Tensor> {
    const key = `${slot} ${batch}`
    let views = this.#slotViews.get(key)
    if (!views) {
      const { kvHeads, headDim } = this.#architecture
      const shape = [batch, kvHeads, this.capacity, headDim]
      views = new Map(
        this.#cache.map(({ input, memory }) => [
          input,
          this.#session.tensor('f32', shape, memory.address + BigInt(slot * this.#slotBytes)),
        ]),
      )
      this.#slotViews.set(key, views)
    }
    return views
  }

  #readCandidates(rows: number): void {
    const ids = this.#topIds.view
    for (let i = 0; i < rows * this.candidates; i++) this.#candidateIds[i] = Number(ids[i])
  }
}

/** A typed view of native memory, with its address. */
class Cells<View extends ArrayBufferView> {
  readonly view: View
  readonly address: bigint
  // keeps the mapping's owner reachable as long as the view
  readonly memory: NativeMemory

  constructor(bytes: number, View: new (buffer: ArrayBuffer) => View) {
    this.memory = new NativeMemory(bytes)
    this.view = new View(this.memory.buffer)
    this.address = this.memory.address
  }
}
