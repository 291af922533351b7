// Whether hosts have memory for versions that are to be loaded beside those that are.
//
// An estimate: a version takes about its data, and what an engine needs besides; its KV cache is mapped, and costs what
// is used. A host that doesn't tell what it has is not asked.
//
// Knows: figures of hosts and of versions. Does not know: who is to go.

import type { Runtime } from '../../runtime/client.ts'

export interface NeededVersion {
  id: string
  /** of its data */
  bytes: number
}

interface Shortage {
  needBytes: number
  freeBytes: number
}

/** A process with Node and ONNX Runtime in it, before any weight: measured at some 150 MB. */
const ENGINE_BYTES = 200 * 1024 * 1024
/** Weights that are packed anew, and buffers that grow with them. */
const FACTOR = 1.15

export type Room = (versions: readonly NeededVersion[]) => Promise<Shortage | null>

/** @returns what is missing; null where nothing is */
export function roomOf(runtime: Pick<Runtime, 'stats'>): Room {
  return async (versions) => {
    if (versions.length === 0) return null
    const { memory } = await runtime.stats()
    if (!memory) return null
    const needBytes = versions.reduce((sum, { bytes }) => sum + bytes * FACTOR + ENGINE_BYTES, 0)
    const { freeBytes } = memory
    return needBytes > freeBytes ? { needBytes, freeBytes } : null
  }
}

export function gibibytes(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(2)} GiB`
}
