// What all parts of a decoder are drawn with: the graph, the checkpoint's tensors, and the layers that both make.
//
// Knows: tensors and precision. Does not know: how the parts of a network fit together.

import type { Architecture, Precision } from '../../models/manifest.ts'
import type { Checkpoint } from '../checkpoint/checkpoint.ts'
import { LinearWriter } from './linear.ts'
import type { Activation, Matrix } from './linear.ts'
import { float } from './onnx.ts'
import type { GraphWriter } from './onnx.ts'

export class Pen {
  readonly graph: GraphWriter
  readonly architecture: Architecture
  readonly precision: Precision
  readonly linear: LinearWriter
  readonly #checkpoint: Checkpoint

  constructor(graph: GraphWriter, checkpoint: Checkpoint, precision: Precision) {
    this.graph = graph
    this.architecture = checkpoint.architecture
    this.precision = precision
    this.linear = new LinearWriter(graph, precision)
    this.#checkpoint = checkpoint
  }

  read(name: string): Promise<Float32Array> {
    return this.#checkpoint.read(name)
  }

  async matrix(name: string): Promise<Matrix> {
    const [rows, columns] = this.#checkpoint.tensors.get(name)?.shape ?? []
    const values = await this.read(name)
    if (rows === undefined || columns === undefined) {
      throw new Error(`${name} is not a matrix. This is a bug.`)
    }
    return { values, rows, columns }
  }

  /** A vector as a tensor of the graph. */
  async vector(name: string, as = name): Promise<string> {
    const values = await this.read(name)
    return this.graph.weights(as, [values.length], values)
  }

  /** A linear layer of the network by the checkpoint's name. */
  async projection(name: string, input: Activation, heavyTailed = false): Promise<string> {
    const matrix = await this.matrix(`${name}.weight`)
    return this.linear.write({ name, input, matrix, heavyTailed, isAdapted: true })
  }

  /** RMS norm by a weight of the checkpoint. */
  async norm(input: string, weightName: string, as = weightName, output?: string): Promise<string> {
    const attributes = { axis: -1, stash_type: 1, ...this.epsilon() }
    const inputs = [input, await this.vector(weightName, as)]
    return this.graph.op('SimplifiedLayerNormalization', inputs, attributes, output)
  }

  epsilon() {
    return { epsilon: float(this.architecture.normEpsilon) }
  }
}
