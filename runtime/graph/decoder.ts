// Draws a llama-style decoder (llama, qwen2, qwen3, mistral) as an ONNX graph from a checkpoint.
//
//   in    input_ids[B,S] i64, seqlens_k[B] i32 (index of each row's last key), total_len[1] i32, out_rows[R] i64,
//         past.<layer>.{k,v} [B, kvHeads, capacity, headDim] f32 or f16
//   out   top_values[R,C] f32, top_ids[R,C] i64 (log-probabilities and ids of the C most likely tokens),
//         logits[R,V] f32, present.<layer>.{k,v} (to be bound to the memory of past)
//
// Keys, values and weights are f32, or f16 for GPUs; what comes out is f32 in either case. In half precision norms are summed
// in single precision, as their kernels do.
//
// It is written in two forms over the same weights: plain, and with adapters for each row (adapter-inputs.ts).
//
// `out_rows` names the positions, in row-major order of input_ids, whose logits are wanted. Between attention and
// attention everything is [tokens, features], so that a row is a row whatever the batch it came in.
//
// Knows: the network. Does not know: slots, batches, sampling.

import { GPU_PRECISIONS } from '../../models/manifest.ts'
import type { Precision } from '../../models/manifest.ts'
import type { Checkpoint } from '../checkpoint/checkpoint.ts'
import { ADAPTERS_FILE, prepareAdapters } from './adapter-inputs.ts'
import { drawAttention, prepareAttention } from './attention.ts'
import { candidatesOf, drawCandidates } from './candidates.ts'
import { Activation } from './linear.ts'
import { float, GraphWriter } from './onnx.ts'
import { Pen } from './pen.ts'
import { Vocabulary } from './vocabulary.ts'

export interface DecoderFiles {
  file: string
  dataFile: string
  /** the same with adapters for each row; absent where the graph is in half precision */
  adaptersFile?: string
  /** entries of top_values and top_ids a row */
  candidates: number
  kvType: 'f32' | 'f16'
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
  const floats = isHalf(options.precision) ? 'f16' : 'f32'
  const graph = await GraphWriter.create(folder, DATA_FILE, floats)
  const decoder = new DecoderWriter(
    new Pen(graph, checkpoint, options.precision),
    options.observe ?? false,
  )
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
  const takesAdapters = floats === 'f32'
  if (takesAdapters) await graph.write(ADAPTERS_FILE, 'adapted')
  await graph.finish(MODEL_FILE)
  options.onProgress?.(1)
  return {
    file: MODEL_FILE,
    dataFile: DATA_FILE,
    ...(takesAdapters && { adaptersFile: ADAPTERS_FILE }),
    candidates,
    kvType: floats,
  }
}

function isHalf(precision: Precision): boolean {
  return GPU_PRECISIONS.some((each) => each === precision)
}

class DecoderWriter {
  readonly #pen: Pen
  readonly #vocabulary: Vocabulary
  readonly #observes: boolean
  // the residual stream, and the last layer's addition to it that no norm has folded in yet
  #stream = ''
  #addition: string | null = null

  constructor(pen: Pen, observes: boolean) {
    this.#pen = pen
    this.#vocabulary = new Vocabulary(pen)
    this.#observes = observes
  }

  /** Inputs, tables, embedding. */
  async start(): Promise<void> {
    const { graph, architecture } = this.#pen
    graph.input('input_ids', 'i64', ['B', 'S'])
    await prepareAttention(graph, architecture)
    prepareAdapters(graph)
    graph.input('out_rows', 'i64', ['R'])
    const embedded = await this.#vocabulary.lookUp()
    this.#stream = graph.op('Reshape', [embedded, graph.ints(-1, architecture.hiddenSize)])
  }

  async layer(layer: number): Promise<void> {
    const pen = this.#pen
    const name = `model.layers.${layer}`
    const normed = await this.#norm(`${name}.input_layernorm.weight`)
    this.#observe(layer, 'attention', normed)
    const attended = new Activation(await drawAttention(pen, layer, normed))
    this.#observe(layer, 'output', attended)
    this.#addition = await pen.projection(`${name}.self_attn.o_proj`, attended)
    const middle = await this.#norm(`${name}.post_attention_layernorm.weight`)
    this.#observe(layer, 'mlp', middle)
    this.#addition = await this.#feedForward(layer, middle)
  }

  /** Final norm and logits of the rows that are wanted, and the candidates among them. */
  async head(candidates: number): Promise<void> {
    const { graph, architecture } = this.#pen
    const stream = graph.op('Add', [this.#stream, this.#addition ?? ''])
    if (this.#observes) {
      await this.#pen.norm(stream, 'model.norm.weight', 'observed.norm', OBSERVED_HEAD)
      graph.output(OBSERVED_HEAD, 'f32', ['tokens', 'features'])
    }
    const picked = graph.op('Gather', [stream, 'out_rows'], { axis: 0 })
    await this.#vocabulary.weigh(await this.#pen.norm(picked, 'model.norm.weight'))
    drawCandidates(graph, 'logits', candidates)
    graph.output('logits', 'f32', ['R', architecture.vocabSize])
  }

  async #feedForward(layer: number, middle: Activation): Promise<string> {
    const pen = this.#pen
    const { graph, architecture } = pen
    const name = `model.layers.${layer}.mlp`
    const gate = await pen.projection(`${name}.gate_proj`, middle)
    const up = await pen.projection(`${name}.up_proj`, middle)
    // x · sigmoid(x): SiLU, which ONNX Runtime has as QuickGelu with alpha 1
    const active = graph.msOp('QuickGelu', [gate], { alpha: float(1) })
    const product = new Activation(graph.op('Mul', [active, up]))
    this.#observe(layer, 'down', product)
    const isHeavyTailed = layer < architecture.layers * HEAVY_TAILED_SHARE
    return pen.projection(`${name}.down_proj`, product, isHeavyTailed)
  }

  /** Adds what the last part computed to the residual stream and norms the sum. */
  async #norm(weightName: string): Promise<Activation> {
    const pen = this.#pen
    if (this.#addition === null) return new Activation(await pen.norm(this.#stream, weightName))
    const weight = await pen.vector(weightName)
    const [normed, sum] = [`${weightName}.out`, `${weightName}.sum`]
    pen.graph.node(
      'com.microsoft',
      'SkipSimplifiedLayerNormalization',
      [this.#stream, this.#addition, weight],
      [normed, '', '', sum],
      pen.epsilon(),
    )
    this.#stream = sum
    this.#addition = null
    return new Activation(normed)
  }

  #observe(layer: number, point: Point, activation: Activation): void {
    if (!this.#observes) return
    const name = observedName(layer, point)
    this.#pen.graph.op('Identity', [activation.tensor], {}, name)
    this.#pen.graph.output(name, 'f32', ['tokens', 'features'])
  }
}
