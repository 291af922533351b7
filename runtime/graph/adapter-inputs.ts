// Low-rank adapters beside the linear layers, chosen for each row of a batch:
//
//   in    adapter.<layer>.a [adapters, groups, in, GROUP] f32, adapter.<layer>.b [adapters, groups · GROUP, out] f32,
//         adapters_used[K] i64: those that the batch goes through,
//         adapted_rows[P] i64: the rows that are multiplied, all of them and some of them again,
//         adapter_picks[T, 2] i64: for each row its adapter's place among the used, and itself
//
// Every row goes through every adapter that is used, and each picks its own product: y becomes y + (x · A) · B. A batch uses
// few, and reads each of them once; to gather a pair of its own for each row reads and copies them as often as there are
// rows, which is three times as slow at eight. Adapter 0 is all zeros, and adds exactly nothing. They are inputs and no
// weights, so that one is added to an engine that runs.
//
// A row's result must not depend on its neighbours, nor a prompt's on how it was cut. ONNX Runtime's product sums in blocks
// whose size depends on how many columns a thread gets; of no more than 16 columns it always makes one piece. So ranks come
// in groups of 16, a batch dimension of the first product; the second one's sums, over the ranks, fit one block. And a
// single row would take other kernels than several: there are always enough for two in each thread.
//
// Knows: one layer. Does not know: which adapters there are, where they come from.

import type { Activation } from './linear.ts'
import type { GraphWriter } from './onnx.ts'

export const ADAPTERS_FILE = 'model.adapters.onnx'
export const ADAPTERS_USED = 'adapters_used'
export const ADAPTED_ROWS = 'adapted_rows'
export const ADAPTER_PICKS = 'adapter_picks'
/** ranks of a group */
export const GROUP = 16

export const adapterInput = (layer: string, part: 'a' | 'b') => `adapter.${layer}.${part}`

/** What the layers of a graph share, in its adapted form. */
export function prepareAdapters(graph: GraphWriter): void {
  graph.inForm('adapted', () => {
    graph.input(ADAPTERS_USED, 'i64', ['K'])
    graph.input(ADAPTED_ROWS, 'i64', ['P'])
    graph.input(ADAPTER_PICKS, 'i64', ['T', 2])
    // [K, P, -1]
    const count = (input: string) => graph.op('Shape', [input])
    const parts = [count(ADAPTERS_USED), count(ADAPTED_ROWS), graph.ints(-1)]
    graph.op('Concat', parts, { axis: 0 }, 'adapter_ranks_shape')
  })
}

export interface AdaptedLayer {
  name: string
  input: Activation
  /** input features */
  columns: number
  /** output features */
  rows: number
}

/** @param plain [tokens, rows], what the layer gives by itself; @returns the same with its row's adapter added */
export function drawAdapted(graph: GraphWriter, layer: AdaptedLayer, plain: string): string {
  const { name, input, columns, rows } = layer
  const output = `${name}.adapted`
  graph.inForm('plain', () => graph.op('Identity', [plain], {}, output))
  graph.inForm('adapted', () => {
    // Extents of one name are taken for equal, and each layer has ranks of its own.
    const used = (part: 'a' | 'b', shape: (number | string)[]) => {
      const all = graph.input(adapterInput(name, part), 'f32', ['adapters', ...shape])
      return graph.op('Gather', [all, ADAPTERS_USED], { axis: 0 })
    }
    input.repeated ??= graph.op('Gather', [input.tensor, ADAPTED_ROWS], { axis: 0 })
    const down = graph.op('MatMul', [input.repeated, used('a', [`${name}.groups`, columns, GROUP])])
    const turned = graph.op('Transpose', [down], { perm: [0, 2, 1, 3] })
    const ranks = graph.op('Reshape', [turned, 'adapter_ranks_shape'])
    const up = graph.op('MatMul', [ranks, used('b', [`${name}.ranks`, rows])])
    graph.op('Add', [plain, graph.op('GatherND', [up, ADAPTER_PICKS])], {}, output)
  })
  return output
}
