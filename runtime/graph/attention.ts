// Attention of one layer: q, k and v of all heads in one product, GroupQueryAttention with rotary positions within, over
// past and present that are the same memory.
//
// Knows: heads. Does not know: what is before and behind it.

import type { Architecture } from '../../models/manifest.ts'
import type { Activation } from './linear.ts'
import type { GraphWriter } from './onnx.ts'
import type { Pen } from './pen.ts'
import { ropeTables } from './rope.ts'

/** The inputs and tables that all layers share. */
export async function prepareAttention(
  graph: GraphWriter,
  architecture: Architecture,
): Promise<void> {
  const { headDim, contextLength } = architecture
  graph.input('seqlens_k', 'i32', ['B'])
  graph.input('total_len', 'i32', [1])
  const { cos, sin } = ropeTables(architecture, contextLength)
  await graph.weights('cos', [contextLength, headDim / 2], cos)
  await graph.weights('sin', [contextLength, headDim / 2], sin)
  // [B, S, -1]: how attention wants its rows grouped
  const grouped = [graph.op('Shape', ['input_ids']), graph.ints(-1)]
  graph.op('Concat', grouped, { axis: 0 }, 'grouped_shape')
}

/** @returns [tokens, heads · headDim], before the output projection */
export async function drawAttention(pen: Pen, layer: number, normed: Activation): Promise<string> {
  const { graph } = pen
  const { heads, kvHeads, headDim, qkNorm, slidingWindow } = pen.architecture
  const name = `model.layers.${layer}.self_attn`
  const projected = await queryKeyValue(pen, name, normed)
  const inputs = qkNorm
    ? await normedHeads(pen, name, projected)
    : [graph.op('Reshape', [projected, 'grouped_shape']), '', '']
  for (const part of ['k', 'v']) {
    const shape = ['B', kvHeads, 'capacity', headDim]
    graph.input(`past.${layer}.${part}`, graph.floats, shape)
    graph.output(`present.${layer}.${part}`, graph.floats, shape)
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
async function queryKeyValue(pen: Pen, name: string, normed: Activation): Promise<string> {
  const { heads, kvHeads, headDim, hiddenSize, qkvBias } = pen.architecture
  const parts = ['q_proj', 'k_proj', 'v_proj'].map((part) => `${name}.${part}`)
  const rows = (heads + 2 * kvHeads) * headDim
  const values = new Float32Array(rows * hiddenSize)
  const bias = qkvBias ? new Float32Array(rows) : null
  let row = 0
  for (const part of parts) {
    const matrix = await pen.matrix(`${part}.weight`)
    values.set(matrix.values, row * hiddenSize)
    bias?.set(await pen.read(`${part}.bias`), row)
    row += matrix.rows
  }
  const matrix = { values, rows, columns: hiddenSize }
  return pen.linear.write({ name: `${name}.qkv`, input: normed, matrix, bias, isAdapted: true })
}

// Qwen 3 norms each head's query and key before rotary; GroupQueryAttention's own inputs for that are refused on CPU.
async function normedHeads(pen: Pen, name: string, projected: string): Promise<string[]> {
  const { graph } = pen
  const { heads, kvHeads, headDim } = pen.architecture
  const sizes = [heads * headDim, kvHeads * headDim, kvHeads * headDim]
  const [q, k, v] = ['q', 'k', 'v'].map((part) => `${name}.${part}`) as [string, string, string]
  graph.node('', 'Split', [projected, graph.ints(...sizes)], [q, k, v], { axis: -1 })
  const normed: string[] = []
  for (const [tensor, weight] of [
    [q, 'q_norm'],
    [k, 'k_norm'],
  ] as const) {
    const each = graph.op('Reshape', [tensor, graph.ints(-1, headDim)])
    normed.push(await pen.norm(each, `${name}.${weight}.weight`))
  }
  const shapes = [q, k].map((_, index) =>
    graph.op('Concat', [graph.op('Shape', ['input_ids']), graph.ints(sizes[index]!)], { axis: 0 }),
  )
  return [
    ...normed.map((tensor, index) => graph.op('Reshape', [tensor, shapes[index]!])),
    graph.op('Reshape', [v, 'grouped_shape']),
  ]
}
