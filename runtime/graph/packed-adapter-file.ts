// A packed adapter as a file of its own: what a version of an adapter holds, and an engine reads.
//
// Knows: the file. Does not know: where the values come from, where they go.

import { join } from 'node:path'

import { CheckpointError } from '../checkpoint/checkpoint.ts'
import { openSafetensorsFile } from '../checkpoint/safetensors.ts'
import { writeSafetensors } from '../checkpoint/safetensors-writer.ts'
import { GROUP } from './adapter-inputs.ts'
import type { PackedAdapter } from './packed-adapter.ts'

export const PACKED_ADAPTER_FILE = 'adapter.safetensors'

export async function writePackedAdapter(folder: string, adapter: PackedAdapter): Promise<void> {
  const values = new Map<string, Float32Array>()
  const tensors = [...adapter].flatMap(([layer, { groups, a, b }]) => {
    values.set(`${layer}.a`, a).set(`${layer}.b`, b)
    return [
      { name: `${layer}.a`, shape: [groups, a.length / groups / GROUP, GROUP] },
      { name: `${layer}.b`, shape: [groups * GROUP, b.length / groups / GROUP] },
    ]
  })
  await writeSafetensors(join(folder, PACKED_ADAPTER_FILE), tensors, (name) => values.get(name)!)
}

/** @throws CheckpointError where the file is missing, damaged or no adapter's */
export async function readPackedAdapter(folder: string): Promise<PackedAdapter> {
  const path = join(folder, PACKED_ADAPTER_FILE)
  const source = await openSafetensorsFile(path)
  try {
    // All at once: in an engine at work each wait lasts a step.
    const layers = await Promise.all(
      [...source.tensors.values()]
        .filter(({ name }) => name.endsWith('.a'))
        .map(async ({ name, shape }) => {
          const layer = name.slice(0, -2)
          const groups = shape[0] ?? 0
          if (groups === 0) throw new CheckpointError(`${name} in ${path} has no ranks`)
          const [a, b] = await Promise.all([source.read(name), source.read(`${layer}.b`)])
          return [layer, { groups, a, b }] as const
        }),
    )
    return new Map(layers)
  } finally {
    await source.close()
  }
}
