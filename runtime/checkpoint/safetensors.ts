// Tensors of a folder with safetensors: one file, or shards that an index names; or of one file by its path.
//
// The shards' headers are all read at once (they are small), so that a missing or cut-off shard is
// found before anything is converted; values are read one tensor at a time.
//
// Knows: the folder's files. Does not know: which tensors a model needs.

import { readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'

import { CheckpointError } from './checkpoint.ts'
import { CheckpointFile } from './checkpoint-file.ts'
import { isRecord, readJsonIfThere } from './json-file.ts'
import { halfValues, widenBfloat, widenHalf } from './narrow-floats.ts'
import { readSafetensorsHeader } from './safetensors-header.ts'
import type { SafetensorsEntry } from './safetensors-header.ts'
import type { StoredTensor, TensorSource } from './tensor-source.ts'

const SAFETENSORS_FILE = 'model.safetensors'
const SAFETENSORS_INDEX = 'model.safetensors.index.json'

const SUPPORTED_DTYPES = ['F32', 'F16', 'BF16'] as const

interface Located extends SafetensorsEntry {
  file: CheckpointFile
}

/** @throws CheckpointError naming the shard or tensor that is missing, damaged or cut off */
export async function openSafetensors(folder: string): Promise<TensorSource> {
  const files: CheckpointFile[] = []
  try {
    const shards = await findShards(folder)
    const located = new Map<string, Located>()
    for (const shard of shards.names) {
      const file = await CheckpointFile.open(join(folder, shard))
      files.push(file)
      for (const [name, entry] of await readSafetensorsHeader(file)) {
        // Only what the index gives to this shard counts; files without an index give all they
        // hold.
        if ((shards.index?.get(name) ?? shard) === shard) located.set(name, { ...entry, file })
      }
    }
    for (const [name, shard] of shards.index ?? []) {
      if (!located.has(name)) {
        throw new CheckpointError(
          `${join(folder, shard)} does not hold tensor ${name}, which ${SAFETENSORS_INDEX} says it does`,
        )
      }
    }
    return source(folder, located, files)
  } catch (error) {
    await Promise.all(files.map((file) => file.close()))
    throw error
  }
}

/** @throws CheckpointError where the file is missing, damaged or cut off */
export async function openSafetensorsFile(path: string): Promise<TensorSource> {
  const file = await CheckpointFile.open(path)
  try {
    const located = new Map<string, Located>()
    for (const [name, entry] of await readSafetensorsHeader(file)) {
      located.set(name, { ...entry, file })
    }
    return source(path, located, [file])
  } catch (error) {
    await file.close()
    throw error
  }
}

/** A single file wins over an index, as in Hugging Face's own loader. */
async function findShards(
  folder: string,
): Promise<{ names: string[]; index: Map<string, string> | null }> {
  const present = await readdir(folder)
  if (present.includes(SAFETENSORS_FILE)) return { names: [SAFETENSORS_FILE], index: null }
  const json = await readJsonIfThere(folder, SAFETENSORS_INDEX)
  if (json === null) {
    throw new CheckpointError(
      `${folder} holds neither ${SAFETENSORS_FILE} nor ${SAFETENSORS_INDEX}; ` +
        `its safetensors files are ${present.filter((name) => name.endsWith('.safetensors')).join(', ')}`,
    )
  }
  const index = readIndex(join(folder, SAFETENSORS_INDEX), json.weight_map)
  const names = [...new Set(index.values())].sort()
  const missing = names.filter((name) => !present.includes(name))
  if (missing.length > 0) {
    throw new CheckpointError(
      `${folder} lacks ${missing.length} of the ${names.length} shards that ${SAFETENSORS_INDEX} names: ${missing.join(', ')}`,
    )
  }
  return { names, index }
}

function readIndex(path: string, weightMap: unknown): Map<string, string> {
  if (!isRecord(weightMap) || Object.keys(weightMap).length === 0) {
    throw new CheckpointError(`${path} has no weight_map`)
  }
  const index = new Map<string, string>()
  for (const [name, shard] of Object.entries(weightMap)) {
    // A checkpoint may come from anywhere: a shard is a file of this folder, never a path out of
    // it.
    if (typeof shard !== 'string' || shard === '' || basename(shard) !== shard || shard === '..') {
      throw new CheckpointError(
        `${path} puts tensor ${name} into ${JSON.stringify(shard)}; allowed is the name of a file beside it`,
      )
    }
    index.set(name, shard)
  }
  return index
}

function source(
  folder: string,
  located: Map<string, Located>,
  files: CheckpointFile[],
): TensorSource {
  const halves = halfValues()
  const tensors = new Map<string, StoredTensor>()
  for (const [name, { shape, dtype, file }] of located) {
    tensors.set(name, { name, shape, type: dtype, file: file.path })
  }
  return {
    tensors,
    supportedTypes: SUPPORTED_DTYPES,
    async read(name) {
      const found = located.get(name)
      if (found === undefined) throw new CheckpointError(`${folder} holds no tensor ${name}`)
      const { file, begin, bytes, dtype } = found
      if (!SUPPORTED_DTYPES.some((supported) => supported === dtype)) {
        throw new CheckpointError(
          `Tensor ${name} in ${file.path} is ${dtype}; supported are ${SUPPORTED_DTYPES.join(', ')}`,
        )
      }
      const buffer = await file.read(begin, bytes, `tensor ${name}`)
      if (dtype === 'F32') return new Float32Array(buffer)
      const narrow = new Uint16Array(buffer)
      return dtype === 'F16' ? widenHalf(narrow, halves) : widenBfloat(narrow)
    },
    async close() {
      await Promise.all(files.map((file) => file.close()))
    },
  }
}
