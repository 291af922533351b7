// Which linear layers of a decoder rows may add an adapter to, and which of the checkpoint's modules each of them is.
//
// Knows: the network's layers. Does not know: ONNX, adapters' files.

import type { Architecture } from '../../models/manifest.ts'

export interface AdaptedLayerShape {
  /** of the layer in the graph */
  name: string
  /** input and output features */
  columns: number
  rows: number
  /** the checkpoint's modules, one after the other in the layer's rows */
  modules: { name: string; firstRow: number; rows: number }[]
}

export function adaptedLayers(architecture: Architecture): AdaptedLayerShape[] {
  const { layers, hiddenSize, intermediateSize, heads, kvHeads, headDim } = architecture
  const queries = heads * headDim
  const keys = kvHeads * headDim
  const make = (name: string, columns: number, parts: [module: string, rows: number][]) => {
    let rows = 0
    const modules = parts.map(([module, count]) => {
      rows += count
      return { name: module, firstRow: rows - count, rows: count }
    })
    return { name, columns, rows, modules }
  }
  return Array.from({ length: layers }, (_, layer) => {
    const attention = `model.layers.${layer}.self_attn`
    const mlp = `model.layers.${layer}.mlp`
    const one = (name: string, columns: number, rows: number) => make(name, columns, [[name, rows]])
    return [
      make(`${attention}.qkv`, hiddenSize, [
        [`${attention}.q_proj`, queries],
        [`${attention}.k_proj`, keys],
        [`${attention}.v_proj`, keys],
      ]),
      one(`${attention}.o_proj`, queries, hiddenSize),
      one(`${mlp}.gate_proj`, hiddenSize, intermediateSize),
      one(`${mlp}.up_proj`, hiddenSize, intermediateSize),
      one(`${mlp}.down_proj`, intermediateSize, hiddenSize),
    ]
  }).flat()
}
