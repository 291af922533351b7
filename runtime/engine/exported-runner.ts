// Runs a decoder that somebody else exported, as it is.
//
// Where its attention is GroupQueryAttention it runs as our own graphs do: batched, over shared memory for past and present.
// The operator writes where the mask says that a sequence ends and leaves the rest of the buffer alone. Where the cache is
// given back one piece longer with each call (Optimum's exports), one sequence after the other: a batch of different lengths
// would need padding within the cache, which such graphs do not mask alike. Right, and slow.
//
// Knows: such graphs' inputs and outputs. Does not know: sequences, text.

import path from 'node:path'

import type { DecoderManifest } from '../../models/manifest.ts'
import { findExportPorts } from '../graph/export-ports.ts'
import type { ExportPorts } from '../graph/export-ports.ts'
import type { Ort } from '../ort/api.ts'
import { CpuDevice } from '../ort/cpu-device.ts'
import { Session } from '../ort/session.ts'
import type { Tensor } from '../ort/session.ts'
import { CandidateRows } from './candidate-rows.ts'
import { ExportFeed } from './export-feed.ts'
import { GrowingCache } from './growing-cache.ts'
import type { RunnerOptions } from './onnx-runner.ts'
import type { RowOutput, Runner } from './runner.ts'
import { SlotCache } from './slot-cache.ts'

type Ports = Map<string, Tensor>

export class ExportedRunner implements Runner {
  readonly slots: number
  readonly capacity: number
  readonly vocabSize: number
  readonly candidates: number

  readonly #session: Session
  readonly #ports: ExportPorts
  readonly #feed: ExportFeed
  readonly #cache: SlotCache | GrowingCache
  readonly #rows: CandidateRows
  readonly #logitsType: 'f32' | 'f16'

  constructor(ort: Ort, folder: string, manifest: DecoderManifest, options: RunnerOptions) {
    const { architecture, graph } = manifest
    const { slots, capacity, threads, maxPrefill } = options
    const { kvHeads, headDim, vocabSize } = architecture
    this.slots = slots
    this.capacity = capacity
    this.vocabSize = vocabSize
    this.candidates = graph.candidates
    this.#logitsType = graph.logitsType ?? 'f32'
    const device = options.device ?? new CpuDevice(ort)
    this.#session = new Session(ort, path.join(folder, graph.file), { threads, device })
    const found = findExportPorts(this.#session.inputs, this.#session.outputs)
    if ('problem' in found) throw new Error(`${graph.file} can't be served: ${found.problem}`)
    this.#ports = found.ports
    const type = graph.kvType === 'f16' ? 'f16' : 'f32'
    const shape = { slots, capacity, kvHeads, headDim, type } as const
    const ports = found.ports.cache
    this.#cache =
      graph.layout === 'growing'
        ? new GrowingCache(this.#session, ports, shape)
        : new SlotCache(this.#session, device, ports, shape)
    const tokens = Math.max(slots, maxPrefill)
    this.#feed = new ExportFeed(this.#session, found.ports, tokens, slots * capacity)
    this.#rows = new CandidateRows(ort, folder, {
      vocabSize,
      candidates: graph.candidates,
      type: this.#logitsType,
      tokens,
      rows: slots,
      threads,
    })
  }

  prefill(slot: number, tokens: ArrayLike<number>, past: number, output: RowOutput): void {
    const left = this.#feed.logitsPerSequence(tokens.length)
    this.#sequence(slot, tokens, past, left, 0)
    this.#rows.read(left, [left - 1], output)
  }

  decode(tokens: ArrayLike<number>, lengths: ArrayLike<number>, output: RowOutput): void {
    const count = tokens.length
    const rows = Array.from({ length: count }, (_, row) => row)
    const cache = this.#cache
    if (cache instanceof SlotCache) {
      const outputs: Ports = new Map()
      const inputs = this.#feed.step(tokens, lengths)
      cache.bind(0, count, inputs, outputs)
      this.#run(inputs, outputs, [count, 1], 0)
    } else {
      for (const row of rows) this.#sequence(row, [tokens[row]!], lengths[row]!, 1, row)
    }
    this.#rows.read(count, rows, output)
  }

  candidateIds(row: number): Int32Array {
    return this.#rows.ids(row)
  }

  candidateLogprobs(row: number): Float32Array {
    return this.#rows.logprobs(row)
  }

  logits(row: number): Float32Array {
    return this.#rows.logits(row)
  }

  copy(from: number, to: number, length: number): void {
    this.#cache.copy(from, to, length)
  }

  close(): void {
    this.#rows.close()
    this.#session.close()
    this.#cache.free()
  }

  /** Some tokens of one sequence, which leave `left` rows of logits from `row` on. */
  #sequence(slot: number, tokens: ArrayLike<number>, past: number, left: number, row: number) {
    const outputs: Ports = new Map()
    const inputs = this.#feed.sequence(tokens, past)
    if (this.#cache instanceof SlotCache) {
      this.#cache.bind(slot, 1, inputs, outputs)
      return this.#run(inputs, outputs, [1, left], row)
    }
    const growth = this.#cache.bind(slot, past, tokens.length, inputs, outputs)
    try {
      this.#run(inputs, outputs, [1, left], row)
      growth.commit()
    } finally {
      growth.release()
    }
  }

  #run(inputs: Ports, outputs: Ports, shape: [batch: number, left: number], row: number): void {
    const session = this.#session
    const address = this.#rows.addressOf(row)
    const logits = session.tensor(this.#logitsType, [...shape, this.vocabSize], address)
    outputs.set(this.#ports.logits, logits)
    const call = session.prepare(inputs, outputs)
    try {
      call.run()
    } finally {
      call.close()
      session.release(logits)
      this.#feed.release()
    }
  }
}
