// Runs a text through an observed graph and keeps a sample of what the linear layers read.
//
// Knows: the observers' outputs. Does not know: what is done with the sample (smoothing.ts).

import path from 'node:path'

import type { Architecture } from '../../models/manifest.ts'
import type { Ort } from '../ort/api.ts'
import { NativeMemory } from '../ort/memory.ts'
import { Session } from '../ort/session.ts'
import type { Tensor } from '../ort/session.ts'
import { MODEL_FILE, OBSERVED_HEAD, observedName, POINTS } from './decoder.ts'
import type { Point } from './decoder.ts'

/** Rows of features, row-major. */
export interface Sample {
  rows: number
  features: number
  values: Float32Array
}

export type LayerSamples = Record<Point, Sample>

export interface Samples {
  layers: LayerSamples[]
  head: Sample
}

// Tokens of one pass, and how many of them pass for one that is kept: neighbours say much the same, and a model of
// 7 billion parameters reads 3 MB for each token.
const PASS_TOKENS = 256
const STRIDE = 5

/**
 * One sample for each layer and point.
 * @param ids token ids of the calibration text, run in passes that start from nothing
 */
export function collectSamples(
  ort: Ort,
  folder: string,
  architecture: Architecture,
  ids: ArrayLike<number>,
  threads: number,
): Samples {
  const { layers, kvHeads, headDim, hiddenSize } = architecture
  const session = new Session(ort, path.join(folder, MODEL_FILE), { threads })
  const held: { memory: NativeMemory; tensor: Tensor }[] = []
  const bind = (type: 'f32' | 'i32' | 'i64', shape: number[]) => {
    const memory = new NativeMemory(8 * shape.reduce((product, extent) => product * extent, 1))
    const tensor = session.tensor(type, shape, memory.address)
    held.push({ memory, tensor })
    return { memory, tensor }
  }
  const kept = Math.floor(ids.length / STRIDE)
  const samples: Samples = {
    layers: Array.from({ length: layers }, () => emptySamples(architecture, kept)),
    head: emptySample(kept, hiddenSize),
  }
  const places: [output: string, sample: Sample][] = samples.layers.flatMap((sample, layer) =>
    POINTS.map((point): [string, Sample] => [observedName(layer, point), sample[point]]),
  )
  places.push([OBSERVED_HEAD, samples.head])
  const cache = new Map<string, Tensor>()
  for (let layer = 0; layer < layers; layer++) {
    for (const part of ['k', 'v']) {
      const { tensor } = bind('f32', [1, kvHeads, PASS_TOKENS, headDim])
      cache.set(`past.${layer}.${part}`, tensor)
    }
  }
  try {
    for (let start = 0; start < ids.length; start += PASS_TOKENS) {
      const count = Math.min(PASS_TOKENS, ids.length - start)
      const input = bind('i64', [1, count])
      const tokens = new BigInt64Array(input.memory.buffer)
      for (let i = 0; i < count; i++) tokens[i] = BigInt(ids[start + i]!)
      const lastKey = bind('i32', [1])
      new Int32Array(lastKey.memory.buffer)[0] = count - 1
      const total = bind('i32', [1])
      new Int32Array(total.memory.buffer)[0] = count
      const inputs = new Map(cache)
      inputs.set('input_ids', input.tensor)
      inputs.set('seqlens_k', lastKey.tensor)
      inputs.set('total_len', total.tensor)
      inputs.set('out_rows', bind('i64', [1]).tensor)
      const outputs = new Map<string, Tensor>()
      for (const [name, tensor] of cache) outputs.set(name.replace('past', 'present'), tensor)
      const observed = places.map(([name, sample]) => {
        const cell = bind('f32', [count, sample.features])
        outputs.set(name, cell.tensor)
        return { sample, seen: new Float32Array(cell.memory.buffer) }
      })
      const call = session.prepare(inputs, outputs)
      call.run()
      call.close()
      for (const { sample, seen } of observed) keepRows(sample, seen, start, count)
      for (const { memory, tensor } of held.splice(cache.size)) {
        session.release(tensor)
        memory.free()
      }
    }
  } finally {
    for (const { tensor } of held) session.release(tensor)
    session.close()
    for (const { memory } of held) memory.free()
  }
  return samples
}

function keepRows(sample: Sample, seen: Float32Array, start: number, count: number): void {
  const { features } = sample
  for (let row = 0; row < count; row++) {
    const kept = (start + row) / STRIDE
    if (!Number.isInteger(kept) || kept >= sample.rows) continue
    sample.values.set(seen.subarray(row * features, (row + 1) * features), kept * features)
  }
}

function emptySamples(architecture: Architecture, rows: number): LayerSamples {
  const { hiddenSize, heads, headDim, intermediateSize } = architecture
  return {
    attention: emptySample(rows, hiddenSize),
    output: emptySample(rows, heads * headDim),
    mlp: emptySample(rows, hiddenSize),
    down: emptySample(rows, intermediateSize),
  }
}

function emptySample(rows: number, features: number): Sample {
  return { rows, features, values: new Float32Array(rows * features) }
}
