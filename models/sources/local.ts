// Checkpoints that lie on this machine already: a folder, a .gguf or .onnx file, the model that comes with the repository.

import { readdir, stat } from 'node:fs/promises'
import { basename, join, relative, resolve } from 'node:path'

import { sha256File, sumOfFiles } from '../checksums.ts'
import { isMissing } from '../work-folders.ts'
import { pickFiles } from './adapter-files.ts'
import { nameHere } from './checkpoint-files.ts'
import type { CheckpointFiles } from './checkpoint-files.ts'
import { checkPins, SourceError } from './fetched.ts'
import type { FetchedSource, FetchOptions } from './fetched.ts'

/** @throws SourceError where nothing is at the path, or no checkpoint */
export async function fetchLocal(path: string, options: FetchOptions): Promise<FetchedSource> {
  const place = resolve(path)
  const checkpoint = await readCheckpoint(place, options)
  return {
    path: checkpoint.path,
    kind: checkpoint.kind,
    reference: place,
    revision: null,
    sha256: checkpoint.sha256,
    licence: null,
  }
}

/** @param folder of the bundled model's checkpoint */
export async function fetchBundled(
  reference: string,
  folder: string,
  options: FetchOptions,
): Promise<FetchedSource> {
  const { path, sha256 } = await readCheckpoint(folder, options)
  return { path, kind: 'bundled', reference, revision: null, sha256, licence: null }
}

const OF_CHECKPOINT = /^(onnx|\d+_Pooling)$/

export interface LocalCheckpoint {
  kind: CheckpointFiles['kind']
  /** the folder, or its one .gguf or .onnx file */
  path: string
  sha256: string
}

/**
 * Finds the one checkpoint at a path, sums it up and compares it with what is pinned.
 * @throws SourceError
 */
export async function readCheckpoint(
  path: string,
  options: FetchOptions,
): Promise<LocalCheckpoint> {
  const { files, kind, main, folder } = await look(path, options)
  const sizes = await Promise.all(files.map(async (name) => (await stat(join(folder, name))).size))
  const totalBytes = sizes.reduce((sum, size) => sum + size, 0)
  const sums: Record<string, string> = {}
  let bytes = 0
  for (const name of files) {
    // By the file's own name: the same files have the same sum in whichever folders they lie.
    sums[nameHere(name)] = await sha256File(join(folder, name), {
      signal: options.signal,
      onBytes(count) {
        bytes += count
        options.onProgress?.({ phase: 'verify', item: name, bytes, totalBytes })
      },
    })
  }
  checkPins(options.pins ?? {}, sums, path)
  return {
    kind,
    path: main === null ? folder : join(folder, main),
    sha256: (kind === 'gguf' && main !== null && sums[nameHere(main)]) || sumOfFiles(sums),
  }
}

async function look(
  path: string,
  { content }: FetchOptions,
): Promise<CheckpointFiles & { folder: string }> {
  let isFolder: boolean
  try {
    isFolder = (await stat(path)).isDirectory()
  } catch (cause) {
    if (isMissing(cause)) throw new SourceError(`There is nothing at ${path}`, { cause })
    throw new SourceError(`${path} can't be looked at: ${String(cause)}`, { cause })
  }
  if (isFolder) {
    const picked = pickFiles(content, await namesWithin(path), null, path, `${path}/<file>`)
    return { ...picked, folder: path }
  }
  if (content === 'adapter') {
    throw new SourceError(`${path} is a file; an adapter is the folder that PEFT saved it to`)
  }
  if (path.endsWith('.onnx')) {
    const isInOnnx = basename(resolve(path, '..')) === 'onnx'
    const home = resolve(path, isInOnnx ? '../..' : '..')
    const main = relative(home, path)
    return { ...pickFiles(content, await namesWithin(home), main, path, path), folder: home }
  }
  if (!path.endsWith('.gguf')) {
    throw new SourceError(
      `${path} is a file of an unknown kind; supported are a .gguf or .onnx file, or the folder of a Hugging Face checkpoint`,
    )
  }
  const name = basename(path)
  return { kind: 'gguf', main: name, files: [name], documents: [], folder: resolve(path, '..') }
}

/** What a folder holds, and the few folders in it that belong to checkpoints: graphs, and how vectors are made. */
async function namesWithin(folder: string): Promise<string[]> {
  const names = await readdir(folder)
  for (const name of names.filter((name) => OF_CHECKPOINT.test(name))) {
    const inner = join(folder, name)
    if (!(await stat(inner)).isDirectory()) continue
    names.push(...(await readdir(inner)).map((file) => `${name}/${file}`))
  }
  return names
}
