// The factors that a graph's weights were smoothed with, kept beside it: whoever adds to its layers later has to know them.
//
// Knows: the file. Does not know: how factors are chosen or used (smoothing.ts).

import { join } from 'node:path'

import { openSafetensorsFile } from '../checkpoint/safetensors.ts'
import { writeSafetensors } from '../checkpoint/safetensors-writer.ts'
import { POINTS } from './decoder.ts'
import type { LayerFactors } from './smoothing.ts'

export const SMOOTHING_FILE = 'smoothing.safetensors'

const nameOf = (layer: number, point: string) => `layers.${layer}.${point}`

export async function writeFactors(folder: string, factors: LayerFactors[]): Promise<void> {
  const values = new Map(
    factors.flatMap((own, layer) => POINTS.map((point) => [nameOf(layer, point), own[point]])),
  )
  const tensors = [...values].map(([name, { length }]) => ({ name, shape: [length] }))
  await writeSafetensors(join(folder, SMOOTHING_FILE), tensors, (name) => values.get(name)!)
}

/** @throws CheckpointError where the file is missing or damaged */
export async function readFactors(folder: string, layers: number): Promise<LayerFactors[]> {
  const source = await openSafetensorsFile(join(folder, SMOOTHING_FILE))
  try {
    const factors: LayerFactors[] = []
    for (let layer = 0; layer < layers; layer++) {
      const [attention, output, mlp, down] = [
        await source.read(nameOf(layer, 'attention')),
        await source.read(nameOf(layer, 'output')),
        await source.read(nameOf(layer, 'mlp')),
        await source.read(nameOf(layer, 'down')),
      ]
      factors.push({ attention, output, mlp, down })
    }
    return factors
  } finally {
    await source.close()
  }
}
