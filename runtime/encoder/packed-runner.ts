// Runs our own graphs (graph/encoder.ts): a batch's tokens lie one behind the other, and attention is told which row of
// them is at each place of a padded batch.
//
// Knows: tensors and their memory. Does not know: texts, requests, what the numbers mean.

import path from 'node:path'

import type { EncoderManifest } from '../../models/manifest.ts'
import type { Ort } from '../ort/api.ts'
import { Cells } from '../ort/cells.ts'
import { Session } from '../ort/session.ts'
import type { Tensor } from '../ort/session.ts'
import type { RunnerOptions } from './open-runner.ts'
import type { EncodedText, Rows, Runner } from './runner.ts'

export class PackedRunner implements Runner {
  readonly isByToken: boolean
  readonly #session: Session
  readonly #output: string
  readonly #width: number
  readonly #ids: Cells<BigInt64Array>
  readonly #segments: Cells<BigInt64Array>
  readonly #positions: Cells<BigInt64Array>
  readonly #cells: Cells<BigInt64Array>
  readonly #rows: Cells<BigInt64Array>
  readonly #first: Cells<BigInt64Array>
  readonly #lengths: Cells<Int32Array>
  readonly #values: Cells<Float32Array>

  constructor(ort: Ort, folder: string, manifest: EncoderManifest, options: RunnerOptions) {
    const { graph } = manifest
    const { width, isByToken, maxCells } = options
    this.isByToken = isByToken
    this.#width = width
    this.#output = graph.output
    this.#session = new Session(ort, path.join(folder, graph.file), options)
    // Pages that are never written cost nothing, so that each has room for the most there may be.
    const whole = () => new Cells(maxCells * 8, BigInt64Array)
    this.#ids = whole()
    this.#segments = whole()
    this.#positions = whole()
    this.#cells = whole()
    this.#rows = whole()
    this.#first = whole()
    this.#lengths = new Cells(maxCells * 4, Int32Array)
    this.#values = new Cells(maxCells * width * 4, Float32Array)
  }

  run(texts: readonly EncodedText[]): Rows {
    const { count, longest } = this.#lay(texts)
    const session = this.#session
    const given: Record<string, Tensor> = {
      input_ids: session.tensor('i64', [count], this.#ids.address),
      segments: session.tensor('i64', [count], this.#segments.address),
      positions: session.tensor('i64', [count], this.#positions.address),
      cells: session.tensor('i64', [texts.length, longest], this.#cells.address),
      rows: session.tensor('i64', [count], this.#rows.address),
      lengths: session.tensor('i32', [texts.length], this.#lengths.address),
      first: session.tensor('i64', [texts.length], this.#first.address),
    }
    const rows = this.isByToken ? count : texts.length
    const output = session.tensor('f32', [rows, this.#width], this.#values.address)
    const call = session.prepare(new Map(Object.entries(given)), new Map([[this.#output, output]]))
    try {
      call.run()
    } finally {
      call.close()
      for (const tensor of [...Object.values(given), output]) session.release(tensor)
    }
    return {
      values: this.#values.view,
      width: this.#width,
      firstRow: this.isByToken ? (text) => Number(this.#first.view[text]) : (text) => text,
    }
  }

  close(): void {
    this.#session.close()
  }

  #lay(texts: readonly EncodedText[]): { count: number; longest: number } {
    const longest = texts.reduce((most, { ids }) => Math.max(most, ids.length), 0)
    let row = 0
    for (const [index, { ids, segments }] of texts.entries()) {
      const start = index * longest
      this.#first.view[index] = BigInt(row)
      this.#lengths.view[index] = ids.length
      for (let position = 0; position < ids.length; position++, row++) {
        this.#ids.view[row] = BigInt(ids[position]!)
        this.#segments.view[row] = BigInt(segments?.[position] ?? 0)
        this.#positions.view[row] = BigInt(position)
        this.#rows.view[row] = BigInt(start + position)
        this.#cells.view[start + position] = BigInt(row)
      }
      // Attention leaves out what is behind a text's end; it only has to be a row that there is.
      this.#cells.view.fill(0n, start + ids.length, start + longest)
    }
    return { count: row, longest }
  }
}
