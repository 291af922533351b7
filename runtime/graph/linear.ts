// Linear layers in each precision: y = x · Wᵀ (+ b), for x of [rows, in] and W of [out, in].
//
// - fp32, fp16: MatMul.
// - int4, int4-fp16: MatMulNBits in blocks of 32, whose activations the kernel of the processor quantises to int8 in blocks, and a small
//   product that adds each block's offset.
// - int8: int8 weights with a scale for each output feature, uint8 activations with a scale for each row. The rows are
//   quantised by ordinary operators, because ONNX Runtime's own DynamicQuantizeMatMul takes one scale for the whole
//   tensor: then a neighbour in the batch would change an answer. Layers that read the same input share its rows.
//
// Knows: one layer. Does not know: where it stands in the network.

import type { Precision } from '../../models/manifest.ts'
import { drawAdapted } from './adapter-inputs.ts'
import type { GraphWriter } from './onnx.ts'
import { BLOCK, quantiseBlocks4, quantiseRows, transpose } from './quantise.ts'

export interface Matrix {
  values: Float32Array
  /** output features */
  rows: number
  /** input features */
  columns: number
}

/** What layers read: a [rows, features] tensor, and what layers have derived from it. */
export class Activation {
  readonly tensor: string
  quantised: QuantisedRows | undefined
  /** [rows, features / block] */
  blockSums: string | undefined
  /** some of its rows more than once: adapter-inputs.ts */
  repeated: string | undefined

  constructor(tensor: string) {
    this.tensor = tensor
  }
}

interface QuantisedRows {
  /** u8, zero point 128; x ≈ (q − 128) · STEP · scale */
  values: string
  /** x / scale, within −1…1 */
  unit: string
  /** [rows, 1], the largest magnitude of each row */
  scale: string
}

export interface LinearLayer {
  name: string
  input: Activation
  matrix: Matrix
  bias?: Float32Array | null
  /**
   * at int8: the input is heavy-tailed, so that one scale a row leaves too little for the rest of it; what rounding left
   * over is quantised too and goes through the same product as more rows, 15 bits in all
   */
  heavyTailed?: boolean
  /** rows may add an adapter's product to it */
  isAdapted?: boolean
  /** name of the output, where it is the graph's own */
  output?: string
}

export class LinearWriter {
  readonly #graph: GraphWriter
  readonly #precision: Precision

  constructor(graph: GraphWriter, precision: Precision) {
    this.#graph = graph
    this.#precision = precision
  }

  /** Writes a layer's weights and nodes and returns the name of its [rows, out] output. */
  async write(layer: LinearLayer): Promise<string> {
    const plain = await this.#biased(layer)
    // Adapters are in single precision, and so are the graphs that take any.
    if (!layer.isAdapted || this.#graph.floats === 'f16') return plain
    const { name, input, matrix } = layer
    const { rows, columns } = matrix
    return drawAdapted(this.#graph, { name, input, columns, rows }, plain)
  }

  async #biased(layer: LinearLayer): Promise<string> {
    const graph = this.#graph
    const { name, bias, output } = layer
    if (!bias) return this.#product(layer, output)
    const weight = await graph.weights(`${name}.bias`, [bias.length], bias)
    return graph.op('Add', [await this.#product(layer), weight], {}, output)
  }

  async #product(layer: LinearLayer, output?: string): Promise<string> {
    switch (this.#precision) {
      case 'fp32':
      case 'fp16':
        return this.#float(layer, output)
      case 'int4':
      case 'int4-fp16':
        return this.#int4(layer, output)
      case 'int8':
        return this.#int8(layer, output)
    }
  }

  async #float({ name, input, matrix }: LinearLayer, output?: string): Promise<string> {
    const { rows, columns } = matrix
    const graph = this.#graph
    const turned = transpose(matrix.values, rows, columns)
    const weight = await graph.weights(name, [columns, rows], turned)
    return graph.op('MatMul', [input.tensor, weight], {}, output)
  }

  async #int4({ name, input, matrix }: LinearLayer, output?: string): Promise<string> {
    const { rows, columns } = matrix
    const graph = this.#graph
    const { values, scales, offsets } = quantiseBlocks4(matrix.values, rows, columns)
    const blocks = columns / BLOCK
    const weight = graph.weight(name, 'u8', [rows, blocks, BLOCK / 2], await graph.store(values))
    const scale = await graph.weights(`${name}.scale`, [rows, blocks], scales)
    const offset = await graph.weights(`${name}.offset`, [blocks, rows], offsets)
    const product = graph.msOp('MatMulNBits', [input.tensor, weight, scale], {
      K: columns,
      N: rows,
      bits: 4,
      block_size: BLOCK,
      ...accuracy(graph),
    })
    return graph.op('Gemm', [this.#blockSums(input, blocks), offset, product], {}, output)
  }

  #blockSums(input: Activation, blocks: number): string {
    if (input.blockSums) return input.blockSums
    const graph = this.#graph
    const inBlocks = graph.op('Reshape', [input.tensor, graph.ints(-1, blocks, BLOCK)])
    input.blockSums = graph.op('ReduceSum', [inBlocks, graph.ints(-1)], { keepdims: 0 })
    return input.blockSums
  }

  async #int8(layer: LinearLayer, output?: string): Promise<string> {
    const { name, input, matrix, heavyTailed } = layer
    const { rows, columns } = matrix
    const graph = this.#graph
    const { values, scales } = quantiseRows(matrix.values, rows, columns)
    const weight = graph.weight(name, 'i8', [columns, rows], await graph.store(values))
    const scale = graph.weight(`${name}.scale`, 'f32', [rows], await graph.store(scales))
    const multiply = (quantised: string) =>
      graph.msOp('MatMulIntegerToFloat', [
        quantised,
        weight,
        graph.scalar(STEP),
        scale,
        this.#zeroPoint(),
      ])
    const quantised = this.#quantiseRows(input)
    const product = heavyTailed
      ? this.#withRemainder(name, quantised, multiply)
      : multiply(quantised.values)
    return graph.op('Mul', [product, quantised.scale], {}, output)
  }

  #quantiseRows(input: Activation): QuantisedRows {
    if (input.quantised) return input.quantised
    const graph = this.#graph
    // A row of zeros is divided by zero, and that is fine: whatever integers become of it are multiplied by zero again.
    const scale = graph.op('ReduceMax', [graph.op('Abs', [input.tensor]), graph.ints(-1)], {
      keepdims: 1,
    })
    const unit = graph.op('Div', [input.tensor, scale])
    const values = this.#quantise(unit, STEP)
    input.quantised = { values, unit, scale }
    return input.quantised
  }

  /** The product of rows that are quantised twice: once, and then what that left over, which is at most half a step. */
  #withRemainder(
    name: string,
    { values, unit }: QuantisedRows,
    multiply: (quantised: string) => string,
  ): string {
    const graph = this.#graph
    const rounded = graph.op('DequantizeLinear', [values, graph.scalar(STEP), this.#zeroPoint()])
    const remainder = this.#quantise(graph.op('Sub', [unit, rounded]), (STEP * STEP) / 2)
    const stacked = graph.op('Concat', [values, remainder], { axis: 0 })
    const [coarse, fine] = [`${name}.coarse`, `${name}.fine`]
    graph.node('', 'Split', [multiply(stacked)], [coarse, fine], { axis: 0, num_outputs: 2 })
    return graph.op('Add', [coarse, graph.op('Mul', [fine, graph.scalar(STEP / 2)])])
  }

  #quantise(tensor: string, step: number): string {
    return this.#graph.op('QuantizeLinear', [tensor, this.#graph.scalar(step), this.#zeroPoint()])
  }

  #zeroPoint(): string {
    return this.#graph.constant('u8', [], new Uint8Array([128]))
  }
}

/** What MatMulNBits computes with: int8, which half precision has no kernels for, and a GPU no need of. */
export function accuracy({ floats }: GraphWriter): Record<string, number> {
  return floats === 'f32' ? { accuracy_level: 4 } : {}
}

// Rows are scaled to −1…1 and stepped by this, so that 127 steps reach either end.
const STEP = 1 / 127
