// A LoRA adapter as the adapted form of a graph takes it: for each layer the pair of stacks that its inputs are views of.
//
// The scale is in B, and what smoothing did to the layer's inputs and outputs is in both: the graph's x is the network's
// divided by the factors of its columns. The modules that make one layer (q, k and v) have their ranks one after the other,
// each with values in its own columns of B only.
//
// Knows: an adapter's values and the layers. Does not know: files, memory that engines read.

import type { Architecture } from '../../models/manifest.ts'
import type { Adapter, LowRankUpdate } from '../checkpoint/adapter.ts'
import { CheckpointError } from '../checkpoint/checkpoint.ts'
import { adaptedLayers } from './adapted-layers.ts'
import type { AdaptedLayerShape } from './adapted-layers.ts'
import { GROUP } from './adapter-inputs.ts'
import { inputFactor, outputFactor } from './smoothing.ts'
import type { LayerFactors } from './smoothing.ts'

interface PackedLayer {
  groups: number
  /** [groups, in, GROUP] */
  a: Float32Array
  /** [groups · GROUP, out] */
  b: Float32Array
}

/** by the layer's name; layers that are not adapted are not there */
export type PackedAdapter = Map<string, PackedLayer>

// What the second product's sums run over fits one block of ONNX Runtime's kernels up to here.
const MOST_RANKS = 128

/**
 * @param factors of the base's smoothing, for each layer; null where it has none
 * @throws CheckpointError where it adapts what only merging can
 */
export async function packAdapter(
  adapter: Adapter,
  architecture: Architecture,
  factors: LayerFactors[] | null,
): Promise<PackedAdapter> {
  const rest = new Set([...adapter.updates.keys(), ...adapter.replaced.keys()])
  const packed: PackedAdapter = new Map()
  for (const layer of adaptedLayers(architecture)) {
    const updates = layer.modules.flatMap((module) => {
      const update = adapter.updates.get(`${module.name}.weight`)
      rest.delete(`${module.name}.weight`)
      return update ? [{ ...module, update }] : []
    })
    if (updates.length > 0)
      packed.set(layer.name, await pack(adapter, layer, updates, architecture, factors))
  }
  if (rest.size > 0) {
    throw new CheckpointError(
      `The adapter changes ${[...rest].join(', ')}; beside a base that others use too only attention and feed-forward ` +
        'layers can be adapted: import it merged',
    )
  }
  return packed
}

async function pack(
  adapter: Adapter,
  { name, columns, rows }: AdaptedLayerShape,
  modules: { name: string; firstRow: number; update: LowRankUpdate }[],
  architecture: Architecture,
  factors: LayerFactors[] | null,
): Promise<PackedLayer> {
  const ranks = modules.reduce((sum, { update }) => sum + update.rank, 0)
  if (ranks > MOST_RANKS) {
    throw new CheckpointError(
      `The adapter's ranks of ${name} are ${ranks} together; at most ${MOST_RANKS} can be served beside a base: import it merged`,
    )
  }
  const groups = Math.ceil(ranks / GROUP)
  const a = new Float32Array(groups * columns * GROUP)
  const b = new Float32Array(groups * GROUP * rows)
  let first = 0
  for (const { name: module, firstRow, update } of modules) {
    const [, layer, part] = /^model\.layers\.(\d+)\.(.+)$/.exec(module)!
    const own = factors?.[Number(layer)]
    const input = own ? inputFactor(part!, own, architecture) : () => 1
    const output = own ? outputFactor(part!, own) : () => 1
    const { rank, scale } = update
    const down = await adapter.read(update.a)
    const up = await adapter.read(update.b)
    for (let k = 0; k < rank; k++) {
      const group = Math.floor((first + k) / GROUP)
      const within = (first + k) % GROUP
      for (let column = 0; column < columns; column++) {
        const value = down[k * columns + column]! * input(column)
        a[(group * columns + column) * GROUP + within] = value
      }
      for (let row = 0; row < up.length / rank; row++) {
        b[(first + k) * rows + firstRow + row] = (scale * up[row * rank + k]!) / output(row)
      }
    }
    first += rank
  }
  return { groups, a, b }
}
