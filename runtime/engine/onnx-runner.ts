// Runs a graph of our own making (runtime/graph/decoder.ts) over slots of KV cache.
//
// Its adapted form is opened when the first adapter comes, and runs the calls in which a row has one: whoever asks for the
// base alone pays nothing for the others. Both forms read the same weights from the same file, and the same cache.
//
// Knows: that graph's inputs and outputs. Does not know: sequences, text.

import path from 'node:path'

import type { DecoderManifest } from '../../models/manifest.ts'
import type { Ort } from '../ort/api.ts'
import { Cells } from '../ort/cells.ts'
import { CpuDevice } from '../ort/cpu-device.ts'
import type { ComputeDevice } from '../ort/device.ts'
import { Session } from '../ort/session.ts'
import type { PreparedCall, Tensor } from '../ort/session.ts'
import { AdaptedRows } from './adapted-rows.ts'
import { AdapterBank } from './adapter-bank.ts'
import type { RowOutput, Runner, RunnerAdapters } from './runner.ts'
import { SlotCache } from './slot-cache.ts'

export interface RunnerOptions {
  slots: number
  /** tokens a slot has room for, at most the manifest's context length */
  capacity: number
  threads: number
  /** what computes; absent: the processor */
  device?: ComputeDevice
  /** most tokens of one prefill call */
  maxPrefill: number
}

export class OnnxRunner implements Runner {
  readonly slots: number
  readonly capacity: number
  readonly vocabSize: number
  readonly candidates: number
  readonly adapters?: RunnerAdapters

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

  readonly #decodeCalls = new Map<string, BoundCall>()
  readonly #adaptedRows: AdaptedRows
  #adapted: { session: Session; bank: AdapterBank } | null = null
  #bankGeneration = 0
  readonly #maxPrefill: number

  constructor(ort: Ort, folder: string, manifest: DecoderManifest, options: RunnerOptions) {
    const { architecture, graph } = manifest
    this.slots = options.slots
    this.capacity = options.capacity
    this.vocabSize = architecture.vocabSize
    this.candidates = graph.candidates
    this.#maxPrefill = options.maxPrefill
    const device = options.device ?? new CpuDevice(ort)
    this.#session = new Session(ort, path.join(folder, graph.file), {
      threads: options.threads,
      device,
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
    const type = graph.kvType === 'f16' ? 'f16' : 'f32'
    const shape = { slots, capacity, kvHeads, headDim, type } as const
    this.#cache = new SlotCache(this.#session, device, ports, shape)
    this.#ids = new Cells(Math.max(slots, options.maxPrefill) * 8, BigInt64Array)
    this.#lastKeys = new Cells(slots * 4, Int32Array)
    this.#totalLength = new Cells(4, Int32Array)
    this.#rows = new Cells(slots * 8, BigInt64Array)
    this.#topValues = new Cells(slots * candidates * 4, Float32Array)
    this.#topIds = new Cells(slots * candidates * 8, BigInt64Array)
    this.#logits = new Cells(slots * this.vocabSize * 4, Float32Array)
    this.#candidateIds = new Int32Array(slots * candidates)
    this.#adaptedRows = new AdaptedRows(Math.max(slots, options.maxPrefill), options.threads)
    const { adaptersFile } = graph
    if (adaptersFile === undefined) return
    const file = path.join(folder, adaptersFile)
    const { threads } = options
    const adapt = (session: Session) => ({ session, bank: new AdapterBank(session, architecture) })
    this.adapters = {
      open: async () => {
        this.#adapted ??= adapt(await Session.open(ort, file, { threads, device }))
      },
      add: (adapter) => {
        if (!this.#adapted) throw new Error('Adapters were not opened. This is a bug.')
        return this.#adapted.bank.add(adapter)
      },
      remove: (place) => this.#adapted?.bank.remove(place),
    }
  }

  prefill(
    slot: number,
    tokens: ArrayLike<number>,
    past: number,
    output: RowOutput,
    adapter = 0,
  ): void {
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
    const used = adapter > 0 ? this.#adaptedRows.set(count, () => adapter) : 0
    const call = this.#prepare({ slot, batch: 1, length: count, rows: 1, output, used })
    try {
      call.prepared.run()
    } finally {
      call.close()
    }
    if (output !== 'none') this.#readCandidates(1)
  }

  decode(
    tokens: ArrayLike<number>,
    lengths: ArrayLike<number>,
    output: RowOutput,
    adapters?: ArrayLike<number>,
  ): void {
    const count = tokens.length
    let longest = 0
    let isAdapted = false
    for (let i = 0; i < count; i++) {
      const length = lengths[i]!
      if (length >= this.capacity) {
        throw new Error(`slot ${i} is full with ${length} tokens. This is a bug.`)
      }
      this.#ids.view[i] = BigInt(tokens[i]!)
      this.#lastKeys.view[i] = length
      this.#rows.view[i] = BigInt(i)
      longest = Math.max(longest, length + 1)
      isAdapted ||= (adapters?.[i] ?? 0) > 0
    }
    this.#totalLength.view[0] = longest
    const used = isAdapted ? this.#adaptedRows.set(count, (row) => adapters?.[row] ?? 0) : 0
    this.#decodeCall(count, output, used).prepared.run()
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
    // Memory of a device may be the session's to give back.
    this.#cache.free()
    this.#session.close()
    this.#adapted?.session.close()
    this.#adapted?.bank.free()
  }

  /** Prepared once for each number of rows and of adapters; those of the adapted form until its adapters change. */
  #decodeCall(count: number, output: RowOutput, used: number): BoundCall {
    const generation = this.#adapted?.bank.generation ?? 0
    if (used > 0 && generation !== this.#bankGeneration) {
      for (const [key, call] of this.#decodeCalls) {
        if (key.endsWith(' 0')) continue
        call.close()
        this.#decodeCalls.delete(key)
      }
      this.#bankGeneration = generation
    }
    const key = `${count} ${output} ${used}`
    let call = this.#decodeCalls.get(key)
    if (!call) {
      call = this.#prepare({ slot: 0, batch: count, length: 1, rows: count, output, used })
      this.#decodeCalls.set(key, call)
    }
    return call
  }

  #prepare({ slot, batch, length, rows, output, used }: Call): BoundCall {
    const adapted = used > 0 ? this.#adapted : null
    if (used > 0 && !adapted) throw new Error('No adapter was ever added. This is a bug.')
    const session = adapted?.session ?? this.#session
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
    const choice = adapted ? this.#adaptedRows.tensors(session, batch * length, used) : []
    for (const [name, tensor] of choice) inputs.set(name, tensor)
    adapted?.bank.bind(inputs)
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
      for (const [, tensor] of choice) session.release(tensor)
    }
    return { prepared, close }
  }

  #readCandidates(rows: number): void {
    const ids = this.#topIds.view
    for (let i = 0; i < rows * this.candidates; i++) this.#candidateIds[i] = Number(ids[i])
  }
}

interface Call {
  slot: number
  batch: number
  length: number
  rows: number
  output: RowOutput
  /** adapters that it goes through; 0: the plain form */
  used: number
}

interface BoundCall {
  prepared: PreparedCall
  /** releases what is the call's own */
  close(): void
}
