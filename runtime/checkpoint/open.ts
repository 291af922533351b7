// Opens whatever a path leads to as a Checkpoint: a folder with safetensors, or a GGUF file.
//
// By the time it returns, everything that can be known without converting a weight has been
// checked: the family, its fields, the tokenizer, and that each tensor of the model is there,
// whole, of the right shape and of a readable type.

import { open, readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'

import type { Architecture } from '../../models/manifest.ts'
import { CheckpointError } from './checkpoint.ts'
import type { Checkpoint, CheckpointTokenizer, TensorInfo } from './checkpoint.ts'
import { readArchitecture } from './families.ts'
import { readFolderTokenizer } from './folder-tokenizer.ts'
import { openGguf } from './gguf.ts'
import {
  interleavedHeads,
  readGgufArchitecture,
  tensorNames,
  undoInterleaving,
} from './gguf-model.ts'
import { readGgufTokenizer } from './gguf-tokenizer.ts'
import { readJson } from './json-file.ts'
import { licenceId, readLicence } from './licence.ts'
import { checkTensors, requiredTensors } from './required-tensors.ts'
import { openSafetensors } from './safetensors.ts'
import type { TensorSource } from './tensor-source.ts'

/** PyTorch's own formats. */
const PICKLE = /\.(bin|pt|pth|ckpt|pkl)$/

/**
 * @param path a folder with safetensors, config.json and tokenizer.json; a .gguf file; or a folder
 *   with exactly one .gguf
 * @throws CheckpointError naming the file, field or tensor, what was found and what is supported
 */
export async function openCheckpoint(path: string): Promise<Checkpoint> {
  const names = await listFolder(path)
  if (names === null) {
    if (await isGguf(path)) return openGgufCheckpoint(path)
    const supported = path.endsWith('.safetensors')
      ? 'give the folder that holds it with its config.json and tokenizer.json'
      : 'supported are a .gguf file and a folder with safetensors'
    throw new CheckpointError(`${path} is not a GGUF file; ${supported}`)
  }
  if (names.some((name) => /\.safetensors(\.index\.json)?$/.test(name))) {
    return openFolderCheckpoint(path)
  }
  const ggufs = names.filter((name) => name.toLowerCase().endsWith('.gguf'))
  if (ggufs.length === 1) return openGgufCheckpoint(join(path, ggufs[0]!))
  throw new CheckpointError(refusal(path, names, ggufs))
}

/** The names in a folder, in order; null where the path leads to a file. */
async function listFolder(path: string): Promise<string[] | null> {
  try {
    return (await stat(path)).isFile() ? null : (await readdir(path)).sort()
  } catch (cause) {
    throw new CheckpointError(`There is no checkpoint at ${path}: ${String(cause)}`, { cause })
  }
}

async function isGguf(path: string): Promise<boolean> {
  if (path.toLowerCase().endsWith('.gguf')) return true
  await using handle = await open(path, 'r')
  const { buffer } = await handle.read(Buffer.alloc(4), 0, 4, 0)
  return buffer.toString('latin1') === 'GGUF'
}

function refusal(folder: string, names: string[], ggufs: string[]): string {
  if (ggufs.length > 1) {
    return `${folder} holds ${ggufs.length} GGUF files (${ggufs.join(', ')}); give the path of one`
  }
  const pickles = names.filter((name) => PICKLE.test(name))
  if (pickles.length > 0) {
    return (
      `${folder} holds its weights only as ${pickles.join(', ')}: such files are pickles, which can run code when they ` +
      'are read, and are refused; supported are safetensors and GGUF'
    )
  }
  const found = names.length === 0 ? 'nothing' : names.slice(0, 10).join(', ')
  return `${folder} is not a checkpoint: it holds neither safetensors nor a GGUF file; found: ${found}`
}

async function openFolderCheckpoint(folder: string): Promise<Checkpoint> {
  const config = await readJson(folder, 'config.json', 'it says what the tensors mean')
  const source = await openSafetensors(folder)
  return orClose(source, async () => {
    const hasHead = source.tensors.has('lm_head.weight')
    const architecture = readArchitecture(config, hasHead, join(folder, 'config.json'))
    const names = new Map([...source.tensors.keys()].map((name) => [name, name]))
    return assemble({
      architecture,
      tensors: checkedTensors(architecture, source, names, folder),
      read: (name) => source.read(name),
      tokenizer: await readFolderTokenizer(folder, config),
      licence: await readLicence(folder),
      where: folder,
      source,
    })
  })
}

async function openGgufCheckpoint(path: string): Promise<Checkpoint> {
  const source = await openGguf(path)
  return orClose(source, async () => {
    const architecture = await readGgufArchitecture(source)
    const names = tensorNames(source)
    const licence = source.metadata.get('general.license')
    return assemble({
      architecture,
      tensors: checkedTensors(architecture, source, names, basename(path)),
      async read(name) {
        const stored = names.get(name)
        if (stored === undefined) throw new CheckpointError(`${path} holds no tensor ${name}`)
        const values = await source.read(stored)
        const heads = interleavedHeads(architecture, name)
        const rows = source.tensors.get(stored)!.shape[0]!
        return heads === null ? values : undoInterleaving(values, heads, rows)
      },
      tokenizer: readGgufTokenizer(source),
      licence: typeof licence === 'string' ? licenceId(licence) : null,
      where: path,
      source,
    })
  })
}

async function orClose(source: TensorSource, make: () => Promise<Checkpoint>): Promise<Checkpoint> {
  try {
    return await make()
  } catch (error) {
    await source.close()
    throw error
  }
}

/** @param names Hugging Face's name → the source's own */
function checkedTensors(
  architecture: Architecture,
  source: TensorSource,
  names: Map<string, string>,
  where: string,
): Map<string, TensorInfo> {
  const found = new Map(
    [...names].map(([name, stored]) => {
      const { shape, type } = source.tensors.get(stored)!
      return [name, { name, shape, type, isReadable: source.supportedTypes.includes(type) }]
    }),
  )
  checkTensors(architecture, found, source.supportedTypes, where)
  return new Map(requiredTensors(architecture).map((tensor) => [tensor.name, tensor]))
}

interface Parts {
  architecture: Architecture
  tensors: Map<string, TensorInfo>
  read: (name: string) => Promise<Float32Array>
  tokenizer: CheckpointTokenizer
  licence: string | null
  where: string
  source: TensorSource
}

function assemble(parts: Parts): Checkpoint {
  const { architecture, tensors, tokenizer, licence, source, where } = parts
  refuseForeignIds(architecture, tokenizer, where)
  return {
    architecture,
    tensors,
    tokenizer,
    licence,
    async read(name) {
      if (tensors.has(name)) return parts.read(name)
      throw new CheckpointError(
        `${where} has no tensor ${name} for a ${architecture.family} model of ${architecture.layers} layers`,
      )
    },
    close: () => source.close(),
  }
}

/** A tokenizer of another model would give ids that the embedding does not have. */
function refuseForeignIds(
  { vocabSize }: Architecture,
  { bosTokenId, endTokenIds }: CheckpointTokenizer,
  where: string,
): void {
  const foreign = [...endTokenIds, bosTokenId ?? 0].filter((id) => id >= vocabSize)
  if (foreign.length === 0) return
  throw new CheckpointError(
    `The tokenizer of ${where} names the token ids ${foreign.join(', ')}; the model has the ids 0 to ${vocabSize - 1}`,
  )
}
