// Both ends of a decoder that have to do with the vocabulary: the embedding that looks a token up, and the head that weighs
// all of them. Where the two are tied they are one matrix, written once where the kernels for looking up and for multiplying
// read the same bytes.
//
// Knows: the two matrices. Does not know: the network between them.

import { FLOAT } from './candidates.ts'
import { accuracy, Activation } from './linear.ts'
import type { Matrix } from './linear.ts'
import type { Stored } from './onnx.ts'
import type { Pen } from './pen.ts'
import { BLOCK, quantiseBlocks8 } from './quantise.ts'

interface Stored8 {
  values: Stored
  scales: Stored
}

export class Vocabulary {
  readonly #pen: Pen
  // the embedding, kept for the head where they are tied, and where its 8-bit form is stored
  #embedding: Matrix | null = null
  #embedded: Stored8 | null = null

  constructor(pen: Pen) {
    this.#pen = pen
  }

  /** @returns [B, S, hidden] of input_ids */
  async lookUp(): Promise<string> {
    const { graph, precision, architecture } = this.#pen
    const embedding = await this.#pen.matrix('model.embed_tokens.weight')
    if (architecture.tiedEmbeddings) this.#embedding = embedding
    const { rows, columns, values } = embedding
    // In half precision the table stays whole: single rows of it are read, so that it costs memory and no time.
    if (precision === 'fp32' || graph.floats === 'f16') {
      const table = await graph.weights('embedding', [rows, columns], values)
      return graph.op('Gather', [table, 'input_ids'], { axis: 0 })
    }
    this.#embedded = await this.#store8(embedding)
    const blocks = [rows, columns / BLOCK]
    const table = graph.weight('embedding', 'u8', [rows, columns], this.#embedded.values)
    const scale = graph.weight('embedding.scale', 'f32', blocks, this.#embedded.scales)
    return graph.msOp('GatherBlockQuantized', [table, 'input_ids', scale], {
      gather_axis: 0,
      quantize_axis: 1,
      block_size: BLOCK,
      bits: 8,
    })
  }

  /**
   * Writes `logits` of the rows given. The head keeps more bits than the layers: at 4 bits it alone costs SmolLM2-135M 7 %
   * of perplexity.
   */
  async weigh(normed: string): Promise<void> {
    const { graph } = this.#pen
    if (graph.floats === 'f32') {
      await this.#product(normed, 'logits')
    } else {
      await this.#product(normed, 'half_logits')
      // What is made of them, log-probabilities and their order, wants more digits than they have.
      graph.op('Cast', ['half_logits'], { to: FLOAT }, 'logits')
    }
  }

  async #product(normed: string, output: string): Promise<void> {
    const pen = this.#pen
    const { graph, precision } = pen
    const { vocabSize, hiddenSize } = pen.architecture
    const tied = this.#embedding
    if ((precision === 'fp32' || precision === 'fp16') && tied !== null) {
      graph.op('Gemm', [normed, 'embedding'], { transB: 1 }, output)
    } else if (precision === 'int4' || precision === 'int4-fp16') {
      const own = async () => this.#store8(tied ?? (await pen.matrix('lm_head.weight')))
      // What was stored to be looked up is of the same bytes.
      const head = tied !== null && this.#embedded ? this.#embedded : await own()
      const shape = [vocabSize, hiddenSize / BLOCK]
      const weight = graph.weight('lm_head', 'u8', [...shape, BLOCK], head.values)
      const scale = graph.weight('lm_head.scale', graph.floats, shape, head.scales)
      graph.msOp(
        'MatMulNBits',
        [normed, weight, scale],
        { K: hiddenSize, N: vocabSize, bits: 8, block_size: BLOCK, ...accuracy(graph) },
        output,
      )
    } else {
      const matrix = tied ?? (await pen.matrix('lm_head.weight'))
      await pen.linear.write({ name: 'lm_head', input: new Activation(normed), matrix, output })
    }
  }

  async #store8({ values, rows, columns }: Matrix): Promise<Stored8> {
    const { graph } = this.#pen
    const quantised = quantiseBlocks8(values, rows, columns)
    return {
      values: await graph.store(quantised.values),
      scales: await graph.store(
        graph.floats === 'f16' ? new Float16Array(quantised.scales) : quantised.scales,
      ),
    }
  }
}
