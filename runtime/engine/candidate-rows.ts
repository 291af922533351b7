// The rows of logits that somebody else's graph leaves behind, and what the sampler asks of them.
//
// Such a graph computes the logits of every token and nothing else. A second, small graph (runtime/graph/candidates.ts)
// reads them where they lie and picks the rows that are wanted: the whole vocabulary never passes through JavaScript unless
// the sampler asks for it.
//
// Knows: logits and rows. Does not know: slots, caches, who asked.

import path from 'node:path'

import { CANDIDATES_FILE } from '../graph/candidates.ts'
import type { Ort } from '../ort/api.ts'
import { Cells } from '../ort/cells.ts'
import { NativeMemory } from '../ort/memory.ts'
import { ELEMENT_BYTES, Session } from '../ort/session.ts'
import type { Tensor } from '../ort/session.ts'
import type { RowOutput } from './runner.ts'

export interface CandidateRowsOptions {
  vocabSize: number
  candidates: number
  type: 'f32' | 'f16'
  /** most tokens of one call, whose logits are all computed */
  tokens: number
  /** most rows that are wanted of one call */
  rows: number
  threads: number
}

export class CandidateRows {
  readonly #options: CandidateRowsOptions
  readonly #session: Session
  readonly #logits: NativeMemory
  readonly #wanted: Cells<BigInt64Array>
  readonly #topValues: Cells<Float32Array>
  readonly #topIds: Cells<BigInt64Array>
  readonly #rows: Cells<Float32Array>
  // ids of the last call's candidates as plain numbers, [rows, candidates]
  readonly #candidateIds: Int32Array

  constructor(ort: Ort, folder: string, options: CandidateRowsOptions) {
    const { vocabSize, candidates, rows, tokens, type } = options
    this.#options = options
    this.#session = new Session(ort, path.join(folder, CANDIDATES_FILE), options)
    this.#logits = new NativeMemory(tokens * vocabSize * ELEMENT_BYTES[type])
    this.#wanted = new Cells(rows * 8, BigInt64Array)
    this.#topValues = new Cells(rows * candidates * 4, Float32Array)
    this.#topIds = new Cells(rows * candidates * 8, BigInt64Array)
    this.#rows = new Cells(rows * vocabSize * 4, Float32Array)
    this.#candidateIds = new Int32Array(rows * candidates)
  }

  /** Where the logits of a call's token `index` go. */
  addressOf(index: number): bigint {
    const { vocabSize, type } = this.#options
    return this.#logits.address + BigInt(index * vocabSize * ELEMENT_BYTES[type])
  }

  /**
   * Reads what the last call left.
   * @param tokens how many it computed
   * @param rows those that are wanted
   */
  read(tokens: number, rows: number[], output: RowOutput): void {
    if (output === 'none') return
    const { vocabSize, candidates, type } = this.#options
    const session = this.#session
    for (const [index, row] of rows.entries()) this.#wanted.view[index] = BigInt(row)
    const count = rows.length
    const tensors = {
      logits: session.tensor(type, [tokens, vocabSize], this.#logits.address),
      out_rows: session.tensor('i64', [count], this.#wanted.address),
      top_values: session.tensor('f32', [count, candidates], this.#topValues.address),
      top_ids: session.tensor('i64', [count, candidates], this.#topIds.address),
      row_logits: session.tensor('f32', [count, vocabSize], this.#rows.address),
    }
    const given = new Map<string, Tensor>(Object.entries(tensors))
    const outputs = new Map(given)
    if (output !== 'logits') outputs.delete('row_logits')
    const call = session.prepare(given, outputs)
    try {
      call.run()
    } finally {
      call.close()
      for (const tensor of given.values()) session.release(tensor)
    }
    const ids = this.#topIds.view
    for (let i = 0; i < count * candidates; i++) this.#candidateIds[i] = Number(ids[i])
  }

  ids(row: number): Int32Array {
    return part(this.#candidateIds, row, this.#options.candidates)
  }

  logprobs(row: number): Float32Array {
    return part(this.#topValues.view, row, this.#options.candidates)
  }

  logits(row: number): Float32Array {
    return part(this.#rows.view, row, this.#options.vocabSize)
  }

  close(): void {
    this.#session.close()
    this.#logits.free()
  }
}

const part = <View extends Int32Array | Float32Array>(view: View, row: number, length: number) =>
  view.subarray(row * length, (row + 1) * length) as View
