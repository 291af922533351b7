// Moves the difficulty of quantising from activations to weights.
//
// A few features of what a linear layer reads are many times larger than the others, and with one scale a row they cost
// everybody else's precision. Dividing such a feature and multiplying its column of the weights changes nothing in exact
// arithmetic, and the weights can bear it: SmoothQuant (Xiao et al., 2023), factor = activation^α / weight^(1−α). The
// division costs nothing at run time because it is folded into what produced the feature: a norm's weight, the value
// projection, the up projection. α is not fixed but chosen for each input of each layer, by the error that it leaves.
//
// A smoothed checkpoint is a checkpoint: the graph builder does not know the difference.

import type { Architecture } from '../../models/manifest.ts'
import type { Checkpoint } from '../checkpoint/checkpoint.ts'
import type { LayerSamples, Sample, Samples } from './calibrate.ts'

/** What the inputs of a layer's products are divided by. */
export interface LayerFactors {
  attention: Float32Array
  /** by features of the value projection: query heads that share it share the factor */
  output: Float32Array
  mlp: Float32Array
  down: Float32Array
}

/** The weights that read one input, and for each of their columns the largest magnitude and the sum of squares. */
interface Columns {
  largest: Float32Array
  energy: Float32Array
  matrices: { values: Float32Array; rows: number }[]
}

/** The checkpoint with each layer's inputs evened out by what calibration saw; its head is no longer the embedding. */
export async function smoothed(
  checkpoint: Checkpoint,
  samples: Samples,
): Promise<{ checkpoint: Checkpoint; factors: LayerFactors[] }> {
  const factors: LayerFactors[] = []
  for (const [layer, sample] of samples.layers.entries()) {
    factors.push(await layerFactors(checkpoint, layer, sample))
  }
  const { architecture, tensors } = checkpoint
  const headName = architecture.tiedEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight'
  const { features } = samples.head
  const head = choose(samples.head, await readColumns(checkpoint, [headName]), own, features)
  const headShape = tensors.get(headName)!.shape
  const even: Checkpoint = {
    ...checkpoint,
    architecture: { ...architecture, tiedEmbeddings: false },
    tensors: new Map(tensors).set('lm_head.weight', { name: 'lm_head.weight', shape: headShape }),
    read: async (name) => {
      const values = await checkpoint.read(name === 'lm_head.weight' ? headName : name)
      if (name === 'lm_head.weight') return values.map((value, i) => value * head[i % features]!)
      if (name === 'model.norm.weight') return values.map((value, i) => value / head[i]!)
      const [, layer, part] = /^model\.layers\.(\d+)\.(.+)$/.exec(name) ?? []
      if (layer === undefined || part === undefined) return values
      return applyFactors(values, part, factors[Number(layer)]!, architecture)
    },
    close: () => checkpoint.close(),
  }
  return { checkpoint: even, factors }
}

async function layerFactors(
  checkpoint: Checkpoint,
  layer: number,
  samples: LayerSamples,
): Promise<LayerFactors> {
  const { heads, kvHeads, headDim } = checkpoint.architecture
  const read = (...parts: string[]) =>
    readColumns(
      checkpoint,
      parts.map((part) => `model.layers.${layer}.${part}.weight`),
    )
  // query heads of a group read the same value head, so its features have one factor
  const shared = (feature: number) => valueFeature(feature, heads / kvHeads, headDim)
  return {
    attention: choose(
      samples.attention,
      await read('self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'),
      own,
      samples.attention.features,
    ),
    output: choose(samples.output, await read('self_attn.o_proj'), shared, kvHeads * headDim),
    mlp: choose(samples.mlp, await read('mlp.gate_proj', 'mlp.up_proj'), own, samples.mlp.features),
    down: choose(samples.down, await read('mlp.down_proj'), own, samples.down.features),
  }
}

async function readColumns(checkpoint: Checkpoint, names: string[]): Promise<Columns> {
  const matrices: Columns['matrices'] = []
  let largest = new Float32Array(0)
  let energy = new Float32Array(0)
  for (const name of names) {
    const [rows, width] = checkpoint.tensors.get(name)!.shape as [number, number]
    if (largest.length === 0) {
      largest = new Float32Array(width)
      energy = new Float32Array(width)
    }
    const values = await checkpoint.read(name)
    matrices.push({ values, rows })
    for (let i = 0; i < values.length; i++) {
      const column = i % width
      const magnitude = Math.abs(values[i]!)
      if (magnitude > largest[column]!) largest[column] = magnitude
      energy[column]! += magnitude * magnitude
    }
  }
  return { largest, energy, matrices }
}

const own = (feature: number) => feature

const STRENGTHS = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]

/** The factors, of those that the strengths give, with the least expected error of the layer's products. */
function choose(
  sample: Sample,
  columns: Columns,
  target: (feature: number) => number,
  targets: number,
): Float32Array {
  const activation = new Float32Array(targets)
  const weight = new Float32Array(targets)
  const { features, values } = sample
  for (let i = 0; i < values.length; i++) {
    const at = target(i % features)
    activation[at] = Math.max(activation[at]!, Math.abs(values[i]!))
  }
  for (let feature = 0; feature < features; feature++) {
    const at = target(feature)
    weight[at] = Math.max(weight[at]!, columns.largest[feature]!)
  }
  let best = new Float32Array(targets).fill(1)
  let least = expectedError(sample, columns, () => 1)
  for (const strength of STRENGTHS) {
    const factors = activation.map((magnitude, at) =>
      // a feature that calibration never saw at work is left alone
      magnitude === 0 || weight[at] === 0
        ? 1
        : magnitude ** strength / weight[at]! ** (1 - strength),
    )
    const error = expectedError(sample, columns, (feature) => factors[target(feature)]!)
    if (error < least) {
      least = error
      best = factors
    }
  }
  return best
}

/**
 * The error that rounding to int8 leaves in y = Wx, as a share of y's energy, averaged over the sample's rows. Rounding to
 * steps of size d has variance d²/12; x / f is stepped by its row's largest value, W · f by its row's largest.
 */
function expectedError(
  sample: Sample,
  columns: Columns,
  factor: (feature: number) => number,
): number {
  const { rows, features, values } = sample
  const factors = Float32Array.from({ length: features }, (_, feature) => factor(feature))
  let weightSteps = 0
  for (const { values: matrix, rows: height } of columns.matrices) {
    for (let row = 0; row < height; row++) {
      let largest = 0
      for (let column = 0; column < features; column++) {
        const magnitude = Math.abs(matrix[row * features + column]!) * factors[column]!
        if (magnitude > largest) largest = magnitude
      }
      weightSteps += largest * largest
    }
  }
  let scaledEnergy = 0
  for (let column = 0; column < features; column++) {
    scaledEnergy += columns.energy[column]! * factors[column]! ** 2
  }
  let error = 0
  for (let row = 0; row < rows; row++) {
    let largest = 0
    let energy = 0
    let product = 0
    for (let column = 0; column < features; column++) {
      const value = values[row * features + column]!
      const scaled = value / factors[column]!
      if (Math.abs(scaled) > largest) largest = Math.abs(scaled)
      energy += scaled * scaled
      product += value * value * columns.energy[column]!
    }
    if (product > 0) error += (largest * largest * scaledEnergy + energy * weightSteps) / product
  }
  return error
}

const valueFeature = (feature: number, group: number, headDim: number) =>
  Math.floor(feature / headDim / group) * headDim + (feature % headDim)

/** `part` is a tensor's name within its layer. */
function applyFactors(
  values: Float32Array,
  part: string,
  factors: LayerFactors,
  architecture: Architecture,
): Float32Array {
  if (part === 'input_layernorm.weight') {
    return values.map((value, i) => value / factors.attention[i]!)
  }
  if (part === 'post_attention_layernorm.weight') {
    return values.map((value, i) => value / factors.mlp[i]!)
  }
  const [, module, kind] = /^(.*_proj)\.(weight|bias)$/.exec(part) ?? []
  if (module === undefined) return values
  const output = outputFactor(module, factors)
  if (kind === 'bias') return values.map((value, i) => value / output(i))
  const input = inputFactor(module, factors, architecture)
  const width = widthOf(module, architecture)
  return values.map((value, i) => (value * input(i % width)) / output(Math.floor(i / width)))
}

function widthOf(
  module: string,
  { heads, headDim, hiddenSize, intermediateSize }: Architecture,
): number {
  if (module === 'self_attn.o_proj') return heads * headDim
  return module === 'mlp.down_proj' ? intermediateSize : hiddenSize
}

/** What a linear layer's weights are multiplied by, by column. @param module its name within its layer */
export function inputFactor(
  module: string,
  factors: LayerFactors,
  { heads, kvHeads, headDim }: Architecture,
): (column: number) => number {
  switch (module) {
    case 'self_attn.o_proj':
      return (column) => factors.output[valueFeature(column, heads / kvHeads, headDim)]!
    case 'mlp.gate_proj':
    case 'mlp.up_proj':
      return (column) => factors.mlp[column]!
    case 'mlp.down_proj':
      return (column) => factors.down[column]!
    default:
      return (column) => factors.attention[column]!
  }
}

/** What a linear layer's weights and bias are divided by, by row: the next layer's columns are multiplied by it. */
export function outputFactor(module: string, factors: LayerFactors): (row: number) => number {
  if (module === 'self_attn.v_proj') return (row) => factors.output[row]!
  return module === 'mlp.up_proj' ? (row) => factors.down[row]! : () => 1
}
