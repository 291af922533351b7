// Draws an encoder (bert, roberta, distilbert) as an ONNX graph from a checkpoint.
//
//   in    input_ids[T] i64, segments[T] i64 (where the model has several), positions[T] i64,
//         cells[B,S] i64 (which row of T is at each place of a padded batch; padding names any row),
//         rows[T] i64 (which place, counted through the padded batch, each row came from),
//         lengths[B] i32, first[B] i64 (each text's first row; only where a head reads that)
//   out   hidden[T,H] f32, or logits[B,L] of texts, or logits[T,L] of tokens
//
// Texts of a batch lie one behind the other, without padding: everything but attention is [tokens, features], and what
// padding would cost there is most of what a batch of mixed lengths costs. Only attention sees a padded batch, for which
// rows are gathered and put back.
//
// Knows: the network. Does not know: texts, batches, pooling, what logits mean.

import type { EncoderArchitecture, EncoderGraph } from '../../models/encoder.ts'
import type { Precision } from '../../models/manifest.ts'
import type { EncoderCheckpoint } from '../checkpoint/encoder-checkpoint.ts'
import { Activation, LinearWriter } from './linear.ts'
import type { Matrix } from './linear.ts'
import { float, GraphWriter } from './onnx.ts'
import { BLOCK, quantiseBlocks8 } from './quantise.ts'

export interface EncoderOptions {
  precision: Precision
  onProgress?: ((fraction: number) => void) | undefined
  signal?: AbortSignal | undefined
}

const MODEL_FILE = 'model.onnx'
const DATA_FILE = 'model.onnx.data'

/**
 * Writes `model.onnx` and `model.onnx.data` into an existing folder.
 * @throws CheckpointError a tensor is missing or cut off
 */
export async function drawEncoder(
  checkpoint: EncoderCheckpoint,
  folder: string,
  { precision, onProgress, signal }: EncoderOptions,
): Promise<EncoderGraph> {
  const graph = await GraphWriter.create(folder, DATA_FILE)
  const encoder = new EncoderWriter(graph, checkpoint, precision)
  const { layers } = checkpoint.architecture
  let output: string
  try {
    await encoder.start()
    for (let layer = 0; layer < layers; layer++) {
      signal?.throwIfAborted()
      await encoder.layer(layer)
      onProgress?.((layer + 1) / (layers + 1))
    }
    output = await encoder.head()
  } catch (error) {
    await graph.abandon()
    throw error
  }
  await graph.finish(MODEL_FILE, 'encoder')
  onProgress?.(1)
  return { file: MODEL_FILE, dataFile: DATA_FILE, layout: 'packed', output }
}

class EncoderWriter {
  readonly #graph: GraphWriter
  readonly #checkpoint: EncoderCheckpoint
  readonly #architecture: EncoderArchitecture
  readonly #precision: Precision
  readonly #linear: LinearWriter
  /** [tokens, hidden], normed */
  #stream = new Activation('')

  constructor(graph: GraphWriter, checkpoint: EncoderCheckpoint, precision: Precision) {
    this.#graph = graph
    this.#checkpoint = checkpoint
    this.#architecture = checkpoint.architecture
    this.#precision = precision
    this.#linear = new LinearWriter(graph, precision)
  }

  /** Inputs, and the sum of what a token, its segment and its position stand for. */
  async start(): Promise<void> {
    const graph = this.#graph
    const { segments } = this.#architecture
    graph.input('input_ids', 'i64', ['T'])
    if (segments > 1) graph.input('segments', 'i64', ['T'])
    graph.input('positions', 'i64', ['T'])
    graph.input('cells', 'i64', ['B', 'S'])
    graph.input('rows', 'i64', ['T'])
    graph.input('lengths', 'i32', ['B'])
    let tokens = await this.#words()
    if (segments > 1) {
      const table = await this.#tensor('embeddings.token_type_embeddings.weight')
      const ofSegment = graph.op('Gather', [table, 'segments'], { axis: 0 })
      tokens = graph.op('Add', [tokens, ofSegment])
    }
    const positions = graph.op('Gather', [await this.#positions(), 'positions'], { axis: 0 })
    this.#stream = await this.#norm('embeddings.LayerNorm', tokens, positions, null)
  }

  async layer(layer: number): Promise<void> {
    const name = `encoder.layer.${layer}`
    const attended = new Activation(await this.#attention(`${name}.attention.self`))
    const mixed = await this.#product(`${name}.attention.output.dense`, attended)
    const middle = await this.#norm(
      `${name}.attention.output.LayerNorm`,
      mixed,
      this.#stream.tensor,
      `${name}.attention.output.dense.bias`,
    )
    const wide = await this.#product(`${name}.intermediate.dense`, middle)
    const active = await this.#activate(wide, `${name}.intermediate.dense.bias`)
    const narrow = await this.#product(`${name}.output.dense`, new Activation(active))
    this.#stream = await this.#norm(
      `${name}.output.LayerNorm`,
      narrow,
      middle.tensor,
      `${name}.output.dense.bias`,
    )
  }

  /** @returns the output's name */
  async head(): Promise<string> {
    const graph = this.#graph
    const { head } = this.#checkpoint
    if (head === null) {
      graph.op('Identity', [this.#stream.tensor], {}, 'hidden')
      graph.output('hidden', 'f32', ['T', this.#architecture.hiddenSize])
      return 'hidden'
    }
    let read = this.#stream.tensor
    if (head.reads === 'first') {
      graph.input('first', 'i64', ['B'])
      read = graph.op('Gather', [read, 'first'], { axis: 0 })
    }
    if (head.dense !== null) {
      read = graph.op(head.dense, [await this.#gemm('head.dense', read)])
    }
    await this.#gemm('head.out', read, 'logits')
    graph.output('logits', 'f32', [head.reads === 'first' ? 'B' : 'T', head.labels])
    return 'logits'
  }

  async #words(): Promise<string> {
    const graph = this.#graph
    const name = 'embeddings.word_embeddings.weight'
    const { rows, columns, values } = await this.#matrix(name)
    // The table is the half of a small model, and rounding it in blocks changes nothing that could be measured.
    if (this.#precision === 'fp32' || columns % BLOCK > 0) {
      return graph.op('Gather', [await this.#tensor(name), 'input_ids'], { axis: 0 })
    }
    const quantised = quantiseBlocks8(values, rows, columns)
    const table = graph.weight(name, 'u8', [rows, columns], await graph.store(quantised.values))
    const scale = graph.weight(
      `${name}.scale`,
      'f32',
      [rows, columns / BLOCK],
      await graph.store(quantised.scales),
    )
    return graph.msOp('GatherBlockQuantized', [table, 'input_ids', scale], {
      gather_axis: 0,
      quantize_axis: 1,
      block_size: BLOCK,
      bits: 8,
    })
  }

  /** Rows that a family sets aside are left out, and a single kind of segment is added in here. */
  async #positions(): Promise<string> {
    const graph = this.#graph
    const { contextLength, hiddenSize, segments } = this.#architecture
    const name = 'embeddings.position_embeddings.weight'
    const { rows, values } = await this.#matrix(name)
    const used = values.slice((rows - contextLength) * hiddenSize)
    if (segments === 1) {
      const segment = await this.#checkpoint.read('embeddings.token_type_embeddings.weight')
      for (let i = 0; i < used.length; i++) used[i]! += segment[i % hiddenSize]!
    }
    return graph.weight(name, 'f32', [contextLength, hiddenSize], await graph.store(used))
  }

  async #attention(name: string): Promise<string> {
    const graph = this.#graph
    const { hiddenSize, heads } = this.#architecture
    const padded: string[] = []
    const bias = new Float32Array(3 * hiddenSize)
    for (const [index, part] of ['query', 'key', 'value'].entries()) {
      const projected = await this.#product(`${name}.${part}`, this.#stream)
      padded.push(graph.op('Gather', [projected, 'cells'], { axis: 0 }))
      bias.set(await this.#checkpoint.read(`${name}.${part}.bias`), index * hiddenSize)
    }
    const stored = await graph.store(bias)
    const biases = graph.weight(`${name}.bias`, 'f32', [3 * hiddenSize], stored)
    const attended = graph.msOp('MultiHeadAttention', [...padded, biases, 'lengths'], {
      num_heads: heads,
    })
    const places = graph.op('Reshape', [attended, graph.ints(-1, hiddenSize)])
    return graph.op('Gather', [places, 'rows'], { axis: 0 })
  }

  async #activate(tensor: string, biasName: string): Promise<string> {
    const graph = this.#graph
    const bias = await this.#tensor(biasName)
    switch (this.#architecture.activation) {
      case 'gelu':
        return graph.msOp('BiasGelu', [tensor, bias])
      case 'gelu_tanh':
        return graph.msOp('FastGelu', [tensor, bias])
      case 'relu':
        return graph.op('Relu', [graph.op('Add', [tensor, bias])])
    }
  }

  /** Norms the sum of two tensors and, where it is not null, a bias. */
  async #norm(name: string, a: string, b: string, biasName: string | null): Promise<Activation> {
    const weights = [await this.#tensor(`${name}.weight`), await this.#tensor(`${name}.bias`)]
    if (biasName !== null) weights.push(await this.#tensor(biasName))
    const epsilon = float(this.#architecture.normEpsilon)
    return new Activation(
      this.#graph.msOp('SkipLayerNormalization', [a, b, ...weights], { epsilon }),
    )
  }

  /** A layer without its bias, which the operator behind it adds. */
  async #product(name: string, input: Activation): Promise<string> {
    return this.#linear.write({ name, input, matrix: await this.#matrix(`${name}.weight`) })
  }

  /** Heads are small, and what they say is what is asked for: they stay as they are. */
  async #gemm(name: string, input: string, output?: string): Promise<string> {
    const weights = [await this.#tensor(`${name}.weight`), await this.#tensor(`${name}.bias`)]
    return this.#graph.op('Gemm', [input, ...weights], { transB: 1 }, output)
  }

  async #tensor(name: string): Promise<string> {
    const { shape } = this.#checkpoint.tensors.get(name) ?? { shape: [] }
    const stored = await this.#graph.store(await this.#checkpoint.read(name))
    return this.#graph.weight(name, 'f32', shape, stored)
  }

  async #matrix(name: string): Promise<Matrix> {
    const [rows, columns] = this.#checkpoint.tensors.get(name)?.shape ?? []
    const values = await this.#checkpoint.read(name)
    if (rows === undefined || columns === undefined) {
      throw new Error(`${name} is not a matrix. This is a bug.`)
    }
    return { values, rows, columns }
  }
}
