// Runs graphs that others exported (Optimum, onnx-community): [batch, longest] of ids, and a mask that says what is padding.
//
// Knows: the names such graphs give their inputs. Does not know: texts, requests, what the numbers mean.

import path from 'node:path'

import type { EncoderManifest } from '../../models/manifest.ts'
import type { Ort } from '../ort/api.ts'
import { Cells } from '../ort/cells.ts'
import { Session } from '../ort/session.ts'
import type { Tensor } from '../ort/session.ts'
import type { RunnerOptions } from './open-runner.ts'
import type { EncodedText, Rows, Runner } from './runner.ts'

const INPUTS = ['input_ids', 'attention_mask', 'token_type_ids', 'position_ids'] as const
type Input = (typeof INPUTS)[number]

export class PaddedRunner implements Runner {
  readonly isByToken: boolean
  readonly #session: Session
  readonly #output: string
  readonly #width: number
  readonly #padTokenId: bigint
  readonly #inputs: { name: Input; cells: Cells<BigInt64Array> }[]
  readonly #values: Cells<Float32Array>

  /** @throws Error where the graph asks for what isn't known here */
  constructor(ort: Ort, folder: string, manifest: EncoderManifest, options: RunnerOptions) {
    const { graph, tokenizer } = manifest
    const { width, isByToken, maxCells } = options
    this.isByToken = isByToken
    this.#width = width
    this.#output = graph.output
    this.#padTokenId = BigInt(tokenizer.padTokenId)
    const session = new Session(ort, path.join(folder, graph.file), options)
    this.#session = session
    const unknown = session.inputs.filter((name) => !INPUTS.some((known) => known === name))
    if (unknown.length > 0 || !session.outputs.includes(graph.output)) {
      session.close()
      throw new Error(
        unknown.length > 0
          ? `${graph.file} asks for ${unknown.join(', ')}; known are ${INPUTS.join(', ')}`
          : `${graph.file} gives ${session.outputs.join(', ')}, and not ${graph.output}`,
      )
    }
    this.#inputs = INPUTS.filter((name) => session.inputs.includes(name)).map((name) => ({
      name,
      cells: new Cells(maxCells * 8, BigInt64Array),
    }))
    this.#values = new Cells(maxCells * width * 4, Float32Array)
  }

  run(texts: readonly EncodedText[]): Rows {
    const session = this.#session
    const longest = texts.reduce((most, { ids }) => Math.max(most, ids.length), 0)
    const inputs = new Map<string, Tensor>()
    for (const { name, cells } of this.#inputs) {
      const { view } = cells
      view.fill(name === 'input_ids' ? this.#padTokenId : 0n, 0, texts.length * longest)
      for (const [index, text] of texts.entries()) write(name, text, view, index * longest)
      inputs.set(name, session.tensor('i64', [texts.length, longest], cells.address))
    }
    const shape = this.isByToken
      ? [texts.length, longest, this.#width]
      : [texts.length, this.#width]
    const output = session.tensor('f32', shape, this.#values.address)
    const call = session.prepare(inputs, new Map([[this.#output, output]]))
    try {
      call.run()
    } finally {
      call.close()
      for (const tensor of [...inputs.values(), output]) session.release(tensor)
    }
    return {
      values: this.#values.view,
      width: this.#width,
      firstRow: this.isByToken ? (text) => text * longest : (text) => text,
    }
  }

  close(): void {
    this.#session.close()
  }
}

function write(name: Input, { ids, segments }: EncodedText, view: BigInt64Array, start: number) {
  for (let position = 0; position < ids.length; position++) {
    const value = {
      input_ids: ids[position]!,
      attention_mask: 1,
      token_type_ids: segments?.[position] ?? 0,
      position_ids: position,
    }[name]
    view[start + position] = BigInt(value)
  }
}
