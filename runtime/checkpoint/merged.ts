// A checkpoint with an adapter merged into it: W + scale · B · A, in float32, tensor by tensor as they are read.
//
// Knows: the two checkpoints. Does not know: what is made of the result.

import type { Adapter, LowRankUpdate } from './adapter.ts'
import type { Checkpoint, TensorInfo } from './checkpoint.ts'

const EMBEDDING = 'model.embed_tokens.weight'
const HEAD = 'lm_head.weight'

/** Closing it closes both. */
export function mergeAdapter(base: Checkpoint, adapter: Adapter): Checkpoint {
  const { updates, replaced } = adapter
  const isAdapted = (name: string) => updates.has(name) || replaced.has(name)
  // An adapter of one of two tied matrices leaves the other as it was, so they are two from here on.
  const isUntied = base.architecture.tiedEmbeddings && (isAdapted(EMBEDDING) || isAdapted(HEAD))
  return {
    ...base,
    architecture: isUntied ? { ...base.architecture, tiedEmbeddings: false } : base.architecture,
    tensors: isUntied ? withHead(base.tensors) : base.tensors,
    licence: joinLicences(base.licence, adapter.licence),
    read: async (name) => {
      const own = replaced.get(name)
      if (own !== undefined) return adapter.read(own)
      const values = await base.read(isUntied && name === HEAD ? EMBEDDING : name)
      const update = updates.get(name)
      return update ? updated(values, update, adapter) : values
    },
    close: async () => {
      await adapter.close()
      await base.close()
    },
  }
}

function withHead(tensors: Map<string, TensorInfo>): Map<string, TensorInfo> {
  const { shape } = tensors.get(EMBEDDING)!
  return new Map(tensors).set(HEAD, { name: HEAD, shape })
}

async function updated(
  values: Float32Array,
  update: LowRankUpdate,
  adapter: Adapter,
): Promise<Float32Array> {
  const { rank, scale, isTransposed } = update
  const a = await adapter.read(update.a)
  const b = await adapter.read(update.b)
  // (B · A)ᵀ is Aᵀ · Bᵀ
  const left = isTransposed ? transpose(a, rank) : b
  const right = isTransposed ? transpose(b, b.length / rank) : a
  const rows = left.length / rank
  const columns = right.length / rank
  const merged = values.slice()
  const sum = new Float32Array(columns)
  for (let row = 0; row < rows; row++) {
    sum.fill(0)
    for (let k = 0; k < rank; k++) {
      const factor = left[row * rank + k]!
      const from = k * columns
      for (let column = 0; column < columns; column++)
        sum[column]! += factor * right[from + column]!
    }
    const to = row * columns
    for (let column = 0; column < columns; column++) merged[to + column]! += scale * sum[column]!
  }
  return merged
}

function transpose(values: Float32Array, rows: number): Float32Array {
  const columns = values.length / rows
  const result = new Float32Array(values.length)
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      result[column * rows + row] = values[row * columns + column]!
    }
  }
  return result
}

/** What is made of both is under both. */
function joinLicences(base: string | null, adapter: string | null): string | null {
  if (base === null || adapter === null || base === adapter) return base ?? adapter
  return `${base} AND ${adapter}`
}
