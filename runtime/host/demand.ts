// What a version will take of memory, before it is loaded: weights, a process, and the least KV cache that is worth having.
//
// The KV cache is mapped for the longest context of every slot and costs what is used of it. Counted whole before a load
// and not at all after it, so that a host always has room for what its newest engine may come to use; an engine that finds
// less than it would like takes fewer slots, down to the few of the least.
//
// Knows: version folders and the arithmetic of the cache. Does not know: what is loaded, how much memory there is.

import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { readManifest } from '../../models/manifest.ts'
import { chooseCacheSize, kvBytesPerToken, WORTHWHILE_SLOTS } from '../engine/cache-size.ts'
import type { EngineSettings } from '../engine/messages.ts'

export interface Demand {
  /** weights and process: there as soon as it is loaded */
  fixedBytes: number
  /** KV cache of a few full sequences */
  leastKvBytes: number
}

type CacheSettings = Pick<EngineSettings, 'slots' | 'contextTokens' | 'kvBudgetBytes'>

// 2026-11: Node with the tokenizer, ONNX Runtime and its arenas, without the weights: 70 to 110 MB of a small model.
const PROCESS_BYTES = 112 * 2 ** 20
// Weights are packed for the kernels when they are loaded, and most of what was read is given up again.
const WEIGHT_FACTOR = 1.25

export async function demandOf(folder: string, settings: CacheSettings): Promise<Demand> {
  const [bytes, leastKvBytes] = await Promise.all([
    folderBytes(folder),
    // What is wrong with a manifest is for the engine to say.
    leastKvOf(folder, settings).catch(() => 0),
  ])
  return { fixedBytes: PROCESS_BYTES + WEIGHT_FACTOR * bytes, leastKvBytes }
}

async function folderBytes(folder: string): Promise<number> {
  const names = await readdir(folder)
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}

async function leastKvOf(folder: string, settings: CacheSettings): Promise<number> {
  const manifest = await readManifest(folder)
  // What reads whole texts keeps nothing of them.
  if (manifest.kind !== 'generate') return 0
  const bytesPerToken = kvBytesPerToken(manifest)
  const { slots, capacity } = chooseCacheSize({
    slots: settings.slots,
    contextTokens: Math.min(manifest.contextLength, settings.contextTokens ?? Infinity),
    bytesPerToken,
    budgetBytes: settings.kvBudgetBytes,
  })
  return Math.min(slots, WORTHWHILE_SLOTS) * capacity * bytesPerToken
}
