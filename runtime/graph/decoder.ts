// Draws a llama-style decoder (llama, qwen2, qwen3, mistral) as an ONNX graph from a checkpoint.
//
//   in    input_ids[B,S] i64, seqlens_k[B] i32 (index of each row's last key), total_len[1] i32, out_rows[R] i64,
//         past.<layer>.{k,v} [B, kvHeads, capacity, headDim]
//   out   top_values[R,C] f32, top_ids[R,C] i64 (log-probabilities and ids of the C most likely tokens),
//         logits[R,V] f32, present.<layer>.{k,v} (to be bound to the memory of past)
//
// `out_rows` names the positions, in row-major order of input_ids, whose logits are wanted. Between attention and
// attention everything is [tokens, features], so that a row is a row whatever the batch it came in.
//
// Knows: the network. Does not know: slots, batches, sampling.

import type { Architecture, Precision } from '../../models/manifest.ts'
import type { Checkpoint } from '../checkpoint/checkpoint.ts'
import { candidatesOf, drawCandidates } from './candidates.ts'
import { Activation, LinearWriter } from './linear.ts'
import type { Matrix } from './linear.ts'
import { float, GraphWriter } from './onnx.ts'
import type { Stored } from './onnx.ts'
import { BLOCK, quantiseBlocks8 } from './quantise.ts'
import { ropeTables } from './rope.ts'

export interface DecoderFiles {
  file: string
  dataFile: string
  /** entries of top_values and top_ids a row */
  candidates: number
  kvType: 'f32' | 'i8'
}

export interface DecoderOptions {
  precision: Precision
  /** add what each linear layer reads as outputs: `read.<layer>.<point>` [tokens, features] */
  observe?: boolean
  onProgress?: ((fraction: number) => void) | undefined
  signal?: AbortSignal | undefined
}

export const MODEL_FILE = 'model.onnx'
const DATA_FILE = 'model.onnx.data'

/** What the linear layers of a decoder layer read. */
export const POINTS = ['attention', 'output', 'mlp', 'down'] as const
export type Point = (typeof POINTS)[number]
export const observedName = (layer: number, point: Point) => `read.${layer}.${point}`
/** what the head reads, of every token */
export const OBSERVED_HEAD = 'read.head'

// The down projection's input is heavy-tailed in every layer, but an error of the first ones goes through all that follow:
// quantising its remainder in the first eighth of the layers gains as much perplexity as in all of them.
const HEAVY_TAILED_SHARE = 1 / 8

/**
 * Writes `model.onnx` and `model.onnx.data` into an existing folder.
 * @throws CheckpointError a tensor is missing or cut off
 */
export async function drawDecoder(
  checkpoint: Checkpoint,
  folder: string,
  options: DecoderOptions,
): Promise<DecoderFiles> {
  const graph = await GraphWriter.create(folder, DATA_FILE)
  const decoder = new DecoderWriter(graph, checkpoint, options)
  const { layers } = checkpoint.architecture
  const candidates = candidatesOf(checkpoint.architecture.vocabSize)
  try {
    await decoder.start()
    for (let layer = 0; layer < layers; layer++) {
      options.signal?.throwIfAborted()
      await decoder.layer(layer)
      options.onProgress?.((layer + 1) / (layers + 2))
    }
    await decoder.head(candidates)
  } catch (error) {
    await graph.abandon()
    throw error
  }
  await graph.finish(MODEL_FILE)
  options.onProgress?.(1)
  return {
    file: MODEL_FILE,
    dataFile: DATA_FILE,
    candidates,
    kvType: 'f32',
  }
}

class DecoderWriter {
  readonly #graph: GraphWriter
  readonly #checkpoint: Checkpoint
  readonly #architecture: Architecture
  readonly #precision: Precision
  readonly #linear: LinearWriter
  readonly #observes: boolean
  // the residual stream, and the last layer's addition to it that no norm has folded in yet
  #stream = ''
  #addition: string | null = null
  // the embedding, kept for the head where they are tied, and where its 8-bit form is stored
  #embedding: Matrix | null = null
  #embedded: { values: Stored; scales: Stored } | null = null

  constructor(graph: GraphWriter, checkpoint: Checkpoint, options: DecoderOptions) {
    const { precision } = options
    this.#observes = options.observe ?? false
    this.#graph = graph
    this.#checkpoint = checkpoint
    this.#architecture = checkpoint.architecture
    this.#precision = precision
    this.#linear = new LinearWriter(graph, precision)
  }

  /** Inputs, rotary tables, embedding. */
  async start(): Promise<void> {
    const graph = this.#graph
    const { hiddenSize, headDim, contextLength, tiedEmbeddings } = this.#architecture
    graph.input('input_ids', 'i64', ['B', 'S'])
    graph.input('seqlens_k', 'i32', ['B'])
    graph.input('total_len', 'i32', [1])
    graph.input('out_rows', 'i64', ['R'])
    const { cos, sin } = ropeTables(this.#architecture, contextLength)
    graph.weight('cos', 'f32', [contextLength, headDim / 2], await graph.store(cos))
    graph.weight('sin', 'f32', [contextLength, headDim / 2], await graph.store(sin))
    // [B, S, -1]: how attention wants its rows grouped
    const grouped = [graph.op('Shape', ['input_ids']), graph.ints(-1)]
    graph.op('Concat', grouped, { axis: 0 }, 'grouped_shape')
    const embedding = await this.#matrix('model.embed_tokens.weight')
    if (tiedEmbeddings) this.#embedding = embedding
    const embedded = await this.#gather(embedding)
    this.#stream = graph.op('Reshape', [embedded, graph.ints(-1, hiddenSize)])
  }

  async layer(layer: number): Promise<void> {
    const graph = this.#graph
    const name = `model.layers.${layer}`
    const normed = await this.#norm(`${name}.input_layernorm.weight`)
    this.#observe(layer, 'attention', normed)
    const attended = new Activation(await this.#attention(layer, normed))
    this.#observe(layer, 'output', attended)
    this.#addition = await this.#projection(`${name}.self_attn.o_proj`, attended)
    const middle = await this.#norm(`${name}.post_attention_layernorm.weight`)
    this.#observe(layer, 'mlp', middle)
    const gate = await this.#projection(`${name}.mlp.gate_proj`, middle)
    const up = await this.#projection(`${name}.mlp.up_proj`, middle)
    // x · sigmoid(x): SiLU, which ONNX Runtime has as QuickGelu with alpha 1
    const active = graph.msOp('QuickGelu', [gate], { alpha: float(1) })
    const product = new Activation(graph.op('Mul', [active, up]))
    this.#observe(layer, 'down', product)
    const isHeavyTailed = layer < this.#architecture.layers * HEAVY_TAILED_SHARE
    this.#addition = await this.#projection(`${name}.mlp.down_proj`, product, isHeavyTailed)
  }

  /** Final norm and logits of the rows that are wanted, and the candidates among them. */
  async head(candidates: number): Promise<void> {
    const graph = this.#graph
    const { vocabSize } = this.#architecture
    const stream = graph.op('Add', [this.#stream, this.#addition ?? ''])
    if (this.#observes) await this.#observeHead(stream)
    const picked = graph.op('Gather', [stream, 'out_rows'], { axis: 0 })
    const normed = graph.op(
      'SimplifiedLayerNormalization',
      [picked, await this.#vector('model.norm.weight')],
      { axis: -1, stash_type: 1, ...this.#epsilon() },
    )
    await this.#logits(normed)
    drawCandidates(graph, 'logits', candidates)
    graph.output('logits', 'f32', ['R', vocabSize])
  }

  // The head keeps more bits than the layers: at 4 bits it alone costs SmolLM2-135M 7 % of perplexity. A tied matrix is
  // written once where the kernels for looking up and for multiplying read the same bytes.
  async #logits(normed: string): Promise<void> {
    const graph = this.#graph
    const { vocabSize, hiddenSize } = this.#architecture
    const tied = this.#embedding
    if (this.#precision === 'fp32' && tied !== null) {
      graph.op('Gemm', [normed, 'embedding'], { transB: 1 }, 'logits')
    } else if (this.#precision === 'int4') {
      const head = tied === null ? await this.#stored8('lm_head.weight') : this.#embedded!
      const shape = [vocabSize, hiddenSize / BLOCK]
      const weight = graph.weight('lm_head', 'u8', [...shape, BLOCK], head.values)
      const scale = graph.weight('lm_head.scale', 'f32', shape, head.scales)
      graph.msOp(
        'MatMulNBits',
        [normed, weight, scale],
        { K: hiddenSize, N: vocabSize, bits: 8, block_size: BLOCK, accuracy_level: 4 },
        'logits',
      )
    } else {
      const matrix = tied ?? (await this.#matrix('lm_head.weight'))
      const input = new Activation(normed)
      await this.#linear.write({ name: 'lm_head', input, matrix, output: 'logits' })
    }
  }

  async #stored8(name: string) {
    const { values, rows, columns } = await this.#matrix(name)
    const quantised = quantiseBlocks8(values, rows, columns)
    return {
      values: await this.#graph.store(quantised.values),
      scales: await this.#graph.store(quantised.scales),
    }
  }

  async #attention(layer: number, normed: Activation): Promise<string> {
    const graph = this.#graph
    const { heads, kvHeads, headDim, qkNorm, slidingWindow } = this.#architecture
    const name = `model.layers.${layer}.self_attn`
    const projected = await this.#queryKeyValue(name, normed)
    const inputs = qkNorm
      ? await this.#normedHeads(name, projected)
      : [graph.op('Reshape', [projected, 'grouped_shape']), '', '']
    for (const part of ['k', 'v']) {
      graph.input(`past.${layer}.${part}`, 'f32', ['B', kvHeads, 'capacity', headDim])
      graph.output(`present.${layer}.${part}`, 'f32', ['B', kvHeads, 'capacity', headDim])
    }
    const attended = `${name}.out`
    graph.node(
      'com.microsoft',
      'GroupQueryAttention',
      [...inputs, `past.${layer}.k`, `past.${layer}.v`, 'seqlens_k', 'total_len', 'cos', 'sin'],
      [attended, `present.${layer}.k`, `present.${layer}.v`],
      {
        num_heads: heads,
        kv_num_heads: kvHeads,
        do_rotary: 1,
        ...(slidingWindow === null ? {} : { local_window_size: slidingWindow }),
      },
    )
    return graph.op('Reshape', [attended, graph.ints(-1, heads * headDim)])
  }

  /** q, k and v of all heads in one product: [tokens, (heads + 2 kvHeads) · headDim]. */
  async #queryKeyValue(name: string, normed: Activation): Promise<string> {
    const { heads, kvHeads, headDim, hiddenSize, qkvBias } = this.#architecture
    const parts = ['q_proj', 'k_proj', 'v_proj'].map((part) => `${name}.${part}`)
    const rows = (heads + 2 * kvHeads) * headDim
    const values = new Float32Array(rows * hiddenSize)
    const bias = qkvBias ? new Float32Array(rows) : null
    let row = 0
    for (const part of parts) {
      const matrix = await this.#matrix(`${part}.weight`)
      values.set(matrix.values, row * hiddenSize)
      bias?.set(await this.#checkpoint.read(`${part}.bias`), row)
      row += matrix.rows
    }
    const matrix = { values, rows, columns: hiddenSize }
    return this.#linear.write({ name: `${name}.qkv`, input: normed, matrix, bias })
  }

  // Qwen 3 norms each head's query and key before rotary; GroupQueryAttention's own inputs for that are refused on CPU.
  async #normedHeads(name: string, projected: string): Promise<string[]> {
    const graph = this.#graph
    const { heads, kvHeads, headDim } = this.#architecture
    const sizes = [heads * headDim, kvHeads * headDim, kvHeads * headDim]
    const [q, k, v] = ['q', 'k', 'v'].map((part) => `${name}.${part}`) as [string, string, string]
    graph.node('', 'Split', [projected, graph.ints(...sizes)], [q, k, v], { axis: -1 })
    const normed: string[] = []
    for (const [tensor, weight] of [
      [q, 'q_norm'],
      [k, 'k_norm'],
    ] as const) {
      const each = graph.op('Reshape', [tensor, graph.ints(-1, headDim)])
      const scaled = graph.op(
        'SimplifiedLayerNormalization',
        [each, await this.#vector(`${name}.${weight}.weight`)],
        { axis: -1, stash_type: 1, ...this.#epsilon() },
      )
      normed.push(scaled)
    }
    const shapes = [q, k].map((_, index) =>
      graph.op('Concat', [graph.op('Shape', ['input_ids']), graph.ints(sizes[index]!)], {
        axis: 0,
      }),
    )
    return [
      ...normed.map((tensor, index) => graph.op('Reshape', [tensor, shapes[index]!])),
      graph.op('Reshape', [v, 'grouped_shape']),
    ]
  }

  async #projection(name: string, input: Activation, heavyTailed = false): Promise<string> {
    const matrix = await this.#matrix(`${name}.weight`)
    return this.#linear.write({ name, input, matrix, heavyTailed })
  }

  /** Adds what the last part computed to the residual stream and norms the sum. */
  async #norm(weightName: string): Promise<Activation> {
    const graph = this.#graph
    const weight = await this.#vector(weightName)
    if (this.#addition === null) {
      const normed = graph.op('SimplifiedLayerNormalization', [this.#stream, weight], {
        axis: -1,
        stash_type: 1,
        ...this.#epsilon(),
      })
      return new Activation(normed)
    }
    const [normed, sum] = [`${weightName}.out`, `${weightName}.sum`]
    graph.node(
      'com.microsoft',
      'SkipSimplifiedLayerNormalization',
      [this.#stream, this.#addition, weight],
      [normed, '', '', sum],
      this.#epsilon(),
    )
    this.#stream = sum
    this.#addition = null
    return new Activation(normed)
  }

  async #observeHead(stream: string): Promise<void> {
    const weight = await this.#vector('model.norm.weight', 'observed.norm')
    const attributes = { axis: -1, stash_type: 1, ...this.#epsilon() }
    this.#graph.op('SimplifiedLayerNormalization', [stream, weight], attributes, OBSERVED_HEAD)
    this.#graph.output(OBSERVED_HEAD, 'f32', ['tokens', 'features'])
  }

  #observe(layer: number, point: Point, activation: Activation): void {
    if (!this.#observes) return
    const name = observedName(layer, point)
    this.#graph.op('Identity', [activation.tensor], {}, name)
    this.#graph.output(name, 'f32', ['tokens', 'features'])
  }

  async #gather(embedding: Matrix): Promise<string> {
    const graph = this.#graph
    const { rows, columns } = embedding
    if (this.#precision === 'fp32') {
      const stored = await graph.store(embedding.values)
      const table = graph.weight('embedding', 'f32', [rows, columns], stored)
      return graph.op('Gather', [table, 'input_ids'], { axis: 0 })
    }
    const { values, scales } = quantiseBlocks8(embedding.values, rows, columns)
    this.#embedded = { values: await graph.store(values), scales: await graph.store(scales) }
    const table = graph.weight('embedding', 'u8', [rows, columns], this.#embedded.values)
    const scale = graph.weight(
      'embedding.scale',
      'f32',
      [rows, columns / BLOCK],
      this.#embedded.scales,
    )
    return graph.msOp('GatherBlockQuantized', [table, 'input_ids', scale], {
      gather_axis: 0,
      quantize_axis: 1,
      block_size: BLOCK,
      bits: 8,
    })
  }

  #epsilon() {
    return { epsilon: float(this.#architecture.normEpsilon) }
  }

  async #vector(name: string, as = name): Promise<string> {
    const values = await this.#checkpoint.read(name)
    return this.#graph.weight(as, 'f32', [values.length], await this.#graph.store(values))
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
