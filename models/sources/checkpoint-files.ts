// Picks the files that make a checkpoint out of everything that a repository, a package or a folder holds.
//
// A checkpoint is one .gguf file, or a folder with config.json and safetensors, or a graph that was exported to ONNX
// (export-files.ts); an adapter (adapter-files.ts) is not one.
// Weights in pickles (.bin, .pt) are never taken: reading one runs code.
//
// Knows: file names. Does not know: where the files are, what is in them.

import { matchesGlob, posix } from 'node:path'

import { candidateGraphs, filesOfGraph, isGraph } from './export-files.ts'
import { SourceError } from './fetched.ts'

export interface CheckpointFiles {
  kind: 'gguf' | 'folder' | 'onnx'
  /** the one file that stands for all: a .gguf, an .onnx; null where it is the folder */
  main: string | null
  /** what the sum of the checkpoint covers; paths as they were given */
  files: string[]
  /** read me and licence beside them */
  documents: string[]
}

const CONFIG_FILE = 'config.json'
const SINGLE_FILE = 'model.safetensors'
const INDEX_FILE = 'model.safetensors.index.json'
const SHARD = /^model-\d+-of-\d+\.safetensors$/
const GGUF_SHARD = /-\d{5}-of-\d{5}\.gguf$/
const BESIDE =
  /^(config\.json|generation_config\.json|tokenizer[^/]*\.json|chat_template[^/]*|special_tokens_map\.json|modules\.json|sentence_bert_config\.json|\d+_Pooling\.config\.json)$/
export const DOCUMENT = /^(README\.md|LICEN[CS]E(\.\w+)?)$/i
const ADAPTER_CONFIG = 'adapter_config.json'
/** sentence-transformers keeps how vectors are made in a folder of its own */
const POOLING = /^(\d+_Pooling)\/config\.json$/
const PICKLE = /\.(bin|pt|pth|ckpt)$/

/**
 * @param paths everything that is there, with `/` between folders
 * @param wanted a path or glob that says which one is meant; null where there has to be only one
 * @param place what to call it in errors
 * @param hint how to say which one, e.g. `hf:org/repo/<file>`
 * @throws SourceError where there is none, or several and nothing says which
 */
export function pickCheckpoint(
  paths: string[],
  wanted: string | null,
  place: string,
  hint: string,
): CheckpointFiles {
  const ggufs = paths.filter((path) => path.endsWith('.gguf'))
  const folders = paths
    .filter((path) => posix.basename(path) === CONFIG_FILE)
    .map((path) => posix.dirname(path))
    .filter((folder) => weightsIn(paths, folder).length > 0)

  if (wanted !== null) {
    const named = [
      ...ggufs.filter((path) => matches(path, wanted)),
      ...paths.filter((path) => isGraph(path) && matches(path, wanted)),
      ...folders.filter((folder) => matches(folder, wanted) || matches(`${folder}/x`, wanted)),
    ]
    if (named.length === 1) return pick(paths, named, place)
    const found = named.length === 0 ? [...folders, ...ggufs, ...paths.filter(isGraph)] : named
    throw new SourceError(
      `${place}: '${wanted}' names ${named.length === 0 ? 'no' : 'more than one'} checkpoint; ` +
        `there ${found.length === 0 ? 'is none at all' : `are ${found.join(', ')}`}`,
    )
  }
  // A repository's own top is what it is about; what lies deeper are variants.
  if (folders.includes('.')) return pick(paths, ['.'], place)
  const candidates = [folders, ggufs, candidateGraphs(paths)].find(({ length }) => length > 0) ?? []
  if (candidates.length === 1) return pick(paths, candidates, place)
  if (candidates.length > 1) {
    throw new SourceError(
      `${place} holds several checkpoints; name one as ${hint}: ${candidates.join(', ')}`,
    )
  }
  throw new SourceError(`${place} ${whyNone(paths)}`)
}

function pick(paths: string[], [chosen]: string[], place: string): CheckpointFiles {
  if (chosen === undefined) throw new Error('Nothing was chosen. This is a bug.')
  if (isGraph(chosen)) {
    const beside = filesOfGraph(paths, chosen, (name) => BESIDE.test(name))
    const folder = posix.dirname(chosen)
    const home = posix.basename(folder) === 'onnx' ? posix.dirname(folder) : folder
    const files = [...beside, ...poolingIn(paths, home)]
    const places = new Set(files.map((path) => posix.dirname(path)))
    const named = paths.filter(
      (path) => places.has(posix.dirname(path)) && DOCUMENT.test(posix.basename(path)),
    )
    // All lie in one folder in the end.
    const documents = [...new Map(named.map((path) => [posix.basename(path), path])).values()]
    return { kind: 'onnx', main: chosen, files: files.sort(), documents }
  }
  const folder = chosen.endsWith('.gguf') ? posix.dirname(chosen) : chosen
  const beside = paths.filter((path) => posix.dirname(path) === folder)
  const documents = beside.filter((path) => DOCUMENT.test(posix.basename(path)))
  if (folder !== chosen) {
    if (GGUF_SHARD.test(chosen)) {
      throw new SourceError(
        `${place}: ${chosen} is one part of several; only whole .gguf files are supported`,
      )
    }
    return { kind: 'gguf', main: chosen, files: [chosen], documents }
  }
  const companions = beside.filter((path) => BESIDE.test(posix.basename(path)))
  const files = [...companions, ...poolingIn(paths, folder), ...weightsIn(paths, folder)].sort()
  return { kind: 'folder', main: null, files, documents }
}

function poolingIn(paths: string[], folder: string): string[] {
  return paths.filter((path) => POOLING.test(posix.relative(folder, path)))
}

/** What a picked file is called where it is kept, in one folder with the others: no path of a source becomes one here. */
export function nameHere(path: string): string {
  const folder = posix.basename(posix.dirname(path))
  const pooling = POOLING.exec(`${folder}/${posix.basename(path)}`)
  return pooling ? `${pooling[1]}.config.json` : posix.basename(path)
}

/** Some repositories hold the same weights twice, in one file or under another name: only one form is taken. */
function weightsIn(paths: string[], folder: string): string[] {
  const weights = paths.filter(
    (path) =>
      posix.dirname(path) === folder &&
      !posix.basename(path).startsWith('adapter_') &&
      (path.endsWith('.safetensors') || path.endsWith('.safetensors.index.json')),
  )
  const named = (test: (name: string) => boolean) =>
    weights.filter((path) => test(posix.basename(path)))
  const single = named((name) => name === SINGLE_FILE)
  if (single.length > 0) return single
  const sharded = named((name) => name === INDEX_FILE || SHARD.test(name))
  return sharded.length > 0 ? sharded : weights
}

function matches(path: string, wanted: string): boolean {
  return path === wanted || matchesGlob(path, wanted)
}

function whyNone(paths: string[]): string {
  const supported = 'a .gguf file, config.json with safetensors, or an .onnx file'
  if (paths.some((path) => posix.basename(path) === ADAPTER_CONFIG)) {
    return 'holds a LoRA adapter and no model of its own; name the model that it is for with --base'
  }
  const pickle = paths.find((path) => PICKLE.test(path))
  if (pickle) {
    return `holds its weights as ${pickle}, which can't be read without running code; supported is ${supported}`
  }
  const shown = paths.slice(0, 12).join(', ')
  return `holds no checkpoint (${supported}); it holds ${shown || 'nothing'}${paths.length > 12 ? ', …' : ''}`
}
