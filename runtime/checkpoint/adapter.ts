// A LoRA adapter in PEFT's format, held against the base that it is for.
//
// Its tensors go by the base's names with a prefix and an ending (`base_model.model.` … `.lora_A.weight`). By the time it
// is open, every one of them has been matched with a tensor of the base and its shape compared: what can't be merged is
// known before anything is converted. Values are read on demand.
//
// Knows: an adapter's files and names. Does not know: what is done with it.

import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

import { isMeant, rankOf, readAdapterConfig, scaleOf } from './adapter-config.ts'
import type { AdapterConfig } from './adapter-config.ts'
import { CheckpointError } from './checkpoint.ts'
import type { Checkpoint } from './checkpoint.ts'
import { readLicence } from './licence.ts'
import { openSafetensorsFile } from './safetensors.ts'
import type { StoredTensor, TensorSource } from './tensor-source.ts'

const ADAPTER_FILE = 'adapter_model.safetensors'

/** W of [rows, columns] becomes W + scale · B · A, B of [rows, rank] and A of [rank, columns]. */
export interface LowRankUpdate {
  /** names of the adapter's own tensors */
  a: string
  b: string
  rank: number
  scale: number
  /** an embedding's pair is the other way round: W + scale · (B · A)ᵀ */
  isTransposed: boolean
}

export interface Adapter {
  config: AdapterConfig
  /** by the base's tensor */
  updates: Map<string, LowRankUpdate>
  /** tensors that were trained as a whole: the base's name → the adapter's own */
  replaced: Map<string, string>
  /** adapted modules by the last part of their names, sorted */
  modules: string[]
  licence: string | null
  /** numbers in all of its tensors */
  parameters: number
  /** @param name the adapter's own */
  read(name: string): Promise<Float32Array>
  close(): Promise<void>
}

const PREFIX = 'base_model.model.'
const PAIR = /^(.+)\.lora_(embedding_)?([AB])(?:\.default)?(?:\.weight)?$/
const EMBEDDING = 'model.embed_tokens'
const HEAD = 'lm_head'
const MOST_NAMED = 6

/**
 * @param folder with adapter_config.json and adapter_model.safetensors
 * @throws CheckpointError naming the field or tensor, what was found and what the base has
 */
export async function openAdapter(
  folder: string,
  base: Pick<Checkpoint, 'tensors' | 'architecture'>,
): Promise<Adapter> {
  const config = await readAdapterConfig(folder)
  await refusePickles(folder)
  const source = await openSafetensorsFile(join(folder, ADAPTER_FILE))
  try {
    const { updates, replaced } = matchTensors(config, source, base, folder)
    const names = [...updates.keys(), ...replaced.keys()].map((name) => name.replace(/\.\w+$/, ''))
    return {
      config,
      updates,
      replaced,
      modules: [...new Set(names.map((name) => name.split('.').at(-1)!))].sort(),
      licence: await readLicence(folder),
      parameters: [...source.tensors.values()]
        .map(({ shape }) => shape.reduce((product, extent) => product * extent, 1))
        .reduce((sum, count) => sum + count, 0),
      read: (name) => source.read(name),
      close: () => source.close(),
    }
  } catch (error) {
    await source.close()
    throw error
  }
}

async function refusePickles(folder: string): Promise<void> {
  const names = await readdir(folder)
  if (names.includes(ADAPTER_FILE)) return
  const reason = names.includes('adapter_model.bin')
    ? 'adapter_model.bin is a pickle, which can run code when it is read, and is refused; save it with safe_serialization=True'
    : `it holds ${names.join(', ')}`
  throw new CheckpointError(`${folder} has no ${ADAPTER_FILE}: ${reason}`)
}

function matchTensors(
  config: AdapterConfig,
  source: TensorSource,
  base: Pick<Checkpoint, 'tensors' | 'architecture'>,
  folder: string,
): Pick<Adapter, 'updates' | 'replaced'> {
  const problems: string[] = []
  const pairs = new Map<string, { a?: StoredTensor; b?: StoredTensor; isTransposed: boolean }>()
  const replaced = new Map<string, string>()
  const shapeOf = (module: string) => baseShape(base, `${module}.weight`)
  for (const tensor of source.tensors.values()) {
    const { name } = tensor
    if (!source.supportedTypes.includes(tensor.type)) {
      problems.push(`${name} is ${tensor.type}, supported are ${source.supportedTypes.join(', ')}`)
    } else if (!name.startsWith(PREFIX)) {
      problems.push(`${name} does not begin with ${PREFIX}`)
    } else {
      const [, module, embedding, part] = PAIR.exec(name.slice(PREFIX.length)) ?? []
      if (module === undefined) {
        replaced.set(name.slice(PREFIX.length), name)
      } else {
        const pair = pairs.get(module) ?? { isTransposed: embedding !== undefined }
        pair[part === 'A' ? 'a' : 'b'] = tensor
        pairs.set(module, pair)
      }
    }
  }
  const updates = new Map<string, LowRankUpdate>()
  for (const [module, { a, b, isTransposed }] of pairs) {
    const shape = shapeOf(module)
    const rank = rankOf(config, module)
    if (!shape || shape.length !== 2)
      problems.push(`${PREFIX}${module}: the base has no such layer`)
    else if (!a || !b) problems.push(`${(a ?? b)!.name} has no counterpart`)
    else {
      const [rows, columns] = isTransposed ? [shape[1]!, shape[0]!] : [shape[0]!, shape[1]!]
      checkShape(problems, a, [rank, columns])
      checkShape(problems, b, [rows, rank])
      const scale = scaleOf(config, module)
      updates.set(`${module}.weight`, { a: a.name, b: b.name, rank, scale, isTransposed })
    }
  }
  for (const [name, stored] of replaced) {
    const shape = baseShape(base, name)
    if (shape) checkShape(problems, source.tensors.get(stored)!, shape)
    else problems.push(`${stored}: the base has no such tensor`)
  }
  problems.push(...missing(config, base, pairs))
  for (const name of config.saved) {
    const isThere = [...replaced.keys()].some((tensor) =>
      isMeant(tensor.replace(/\.\w+$/, ''), name),
    )
    if (!isThere) problems.push(`modules_to_save names ${name}, of which there is no tensor`)
  }
  if (updates.size + replaced.size === 0 && problems.length === 0)
    problems.push('it adapts nothing')
  if (problems.length > 0) {
    const shown = problems.slice(0, MOST_NAMED).join('; ')
    const more = problems.length > MOST_NAMED ? `; and ${problems.length - MOST_NAMED} more` : ''
    throw new CheckpointError(
      `${join(folder, ADAPTER_FILE)} does not fit its base: ${shown}${more}`,
    )
  }
  return { updates, replaced }
}

/** The shape of a tensor of the base; a head that is tied to the embedding has the embedding's. */
function baseShape(
  { tensors, architecture }: Pick<Checkpoint, 'tensors' | 'architecture'>,
  name: string,
): number[] | undefined {
  const isTiedHead = architecture.tiedEmbeddings && name === `${HEAD}.weight`
  return tensors.get(isTiedHead ? `${EMBEDDING}.weight` : name)?.shape
}

function checkShape(problems: string[], { name, shape }: StoredTensor, wanted: number[]): void {
  if (shape.join() === wanted.join()) return
  problems.push(`${name} is [${shape.join(', ')}] instead of [${wanted.join(', ')}]`)
}

/** Modules that the configuration means and the file does not hold: it may be cut off, or of a smaller model. */
function missing(
  { targets, isWhole }: AdapterConfig,
  { tensors }: Pick<Checkpoint, 'tensors'>,
  pairs: ReadonlyMap<string, unknown>,
): string[] {
  if (!isWhole) return []
  return [...tensors]
    .filter(([, { shape }]) => shape.length === 2)
    .map(([name]) => name.replace(/\.weight$/, ''))
    .filter((module) => targets!.some((target) => isMeant(module, target)) && !pairs.has(module))
    .map((module) => `${PREFIX}${module}.lora_A.weight is missing`)
}
