// Runs a graph of our own making (runtime/graph/decoder.ts) over slots of KV cache.
//
// Knows: that graph's inputs and outputs. Does not know: sequences, text.

import path from 'node:path'

import type { Manifest } from '../../models/manifest.ts'
import type { Ort } from '../ort/api.ts'
import { Cells } from '../ort/cells.ts'
import { Session } from '../ort/session.ts'
import type { PreparedCall, Tensor } from '../ort/session.ts'
import type { RowOutput, Runner } from './runner.ts'
import { SlotCache } from './slot-cache.ts'

export interface RunnerOptions {
  slots: number
  /** tokens a slot has room for, at most the manifest's context length */
  capacity: number
  threads: number
  /** most tokens of one prefill call */
  maxPrefill: number
}

/** Bytes of KV cache that one token of one sequence takes. */
export function kvBytesPerToken({ architecture, graph }: Pick<Manifest, 'architecture' | 'graph'>) {
  const { layers, kvHeads, headDim } = architecture
  return 2 * layers * kvHeads * headDim * (graph.kvType === 'f16' ? 2 : 4)
}

export class OnnxRunner implements Runner {
  readonly slots: number
  readonly capacity: number
  readonly vocabSize: number
  readonly candidates: number

  readonly #session: Session
  readonly #cache: SlotCache

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
  readonly #maxPrefill: number

  constructor(ort: Ort, folder: string, manifest: Manifest, options: RunnerOptions) {
    const { architecture, graph } = manifest
    this.slots = options.slots
    this.capacity = options.capacity
    this.vocabSize = architecture.vocabSize
    this.candidates = graph.candidates
    this.#maxPrefill = options.maxPrefill
    this.#session = new Session(ort, path.join(folder, graph.file), {
      threads: options.threads,
    })
    const layers = Array.from({ length: architecture.layers }, (_, layer) => layer)
    const ports = layers.flatMap((layer) =>
      ['k', 'v'].map((part) => ({
        past: `past.${layer}.${part}`,
        present: `present.${layer}.${part}`,
      })),
    )
    const { slots, capacity, candidates } = this
    const { kvHeads, headDim } = architecture
    const shape = { slots, capacity, kvHeads, headDim, type: 'f32' as const }
    this.#cache = new SlotCache(this.#session, ports, shape)
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
    this.#cache.copy(from, to, length)
  }

  close(): void {
    this.#session.close()
    this.#cache.free()
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
    const inputs = new Map<string, Tensor>([
      ['input_ids', own.ids],
      ['seqlens_k', own.lastKeys],
      ['total_len', own.totalLength],
      ['out_rows', own.rows],
    ])
    const outputs = new Map<string, Tensor>()
    this.#cache.bind(slot, batch, inputs, outputs)
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

  #readCandidates(rows: number): void {
    const ids = this.#topIds.view
    for (let i = 0; i < rows * this.candidates; i++) this.#candidateIds[i] = Number(ids[i])
  }
}
