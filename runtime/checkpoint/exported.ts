// A decoder that somebody else exported to ONNX, with what lies beside it: config.json or genai_config.json, the tokenizer.
//
// What the engine has to know comes from the graph where it says it (layers, heads, vocabulary) and from the configuration
// where it does not. The graph is served as it is, so most of what an architecture has is its own affair: such fields are
// filled in where they are known, and 0 where they are not.
//
// Knows: files and their fields. Does not know: how the graph is run, whether it is right.

import { basename, dirname, join } from 'node:path'

import { FAMILIES } from '../../models/manifest.ts'
import type { Architecture, GraphLayout } from '../../models/manifest.ts'
import { findExportPorts } from '../graph/export-ports.ts'
import { readGraphOutline } from '../graph/onnx-reader.ts'
import type { GraphOutline, GraphPort } from '../graph/onnx-reader.ts'
import { CheckpointError } from './checkpoint.ts'
import type { CheckpointTokenizer } from './checkpoint.ts'
import { readFolderTokenizer } from './folder-tokenizer.ts'
import { graphWeights, isThere } from './graph-weights.ts'
import { isRecord, readJsonIfThere } from './json-file.ts'
import type { JsonRecord } from './json-file.ts'
import { readLicence } from './licence.ts'

export interface ExportedModel {
  /** the graph, then its weights */
  files: string[]
  architecture: Architecture
  parameters: number
  kvType: 'f32' | 'f16'
  logitsType: 'f32' | 'f16'
  /** how it may be run, best first */
  layouts: GraphLayout[]
  tokenizer: CheckpointTokenizer
  licence: string | null
}

const GROUP_QUERY_ATTENTION = 'com.microsoft:GroupQueryAttention'
const DOMAINS = ['', 'ai.onnx', 'com.microsoft']

/**
 * @param path of an .onnx file
 * @throws CheckpointError naming the file and what is missing in it, or can't be served
 * @throws OnnxFormatError where it is no ONNX file
 */
export async function openExported(path: string): Promise<ExportedModel> {
  const outline = await readGraphOutline(path)
  const refuse = (problem: string): never => {
    throw new CheckpointError(`${path} can't be served as a decoder: ${problem}`)
  }
  const names = (ports: GraphPort[]) => ports.map(({ name }) => name)
  const found = findExportPorts(names(outline.inputs), names(outline.outputs))
  if ('problem' in found) return refuse(found.problem)
  refuseForeignOperators(outline, refuse)
  const port = (name: string) =>
    [...outline.inputs, ...outline.outputs].find((candidate) => candidate.name === name)!
  const { ports } = found
  for (const name of [ports.ids, ports.mask, ports.positions, ports.keep]) {
    if (name !== null && port(name).type !== 'i64') refuse(`${name} is not of 64-bit whole numbers`)
  }
  const past = port(ports.cache[0]!.past)
  const logits = port(ports.logits)
  const type = ({ name, type: given }: GraphPort): 'f32' | 'f16' =>
    given === 'f32' || given === 'f16' ? given : refuse(`${name} is not of floats of 32 or 16 bits`)
  const folder = await companionFolder(path)
  const config = await readConfig(folder)
  return {
    files: [path, ...(await graphWeights(path, outline))],
    architecture: architectureOf(config, ports.cache.length / 2, past, logits, refuse),
    parameters: Math.max(1, outline.parameters),
    kvType: type(past),
    logitsType: type(logits),
    layouts: outline.operators.has(GROUP_QUERY_ATTENTION) ? ['gqa', 'growing'] : ['growing'],
    tokenizer: await readFolderTokenizer(folder, config),
    licence: await readLicence(folder),
  }
}

/** Operators beyond ONNX's and ONNX Runtime's are code that would have to be loaded: nobody's code is. */
function refuseForeignOperators({ operators }: GraphOutline, refuse: (problem: string) => never) {
  const foreign = [...operators].filter((name) => !DOMAINS.includes(name.split(':')[0]!))
  if (foreign.length > 0)
    refuse(`it needs operators that ONNX Runtime does not have: ${foreign.join(', ')}`)
}

/** Its own folder, or the one above where a repository keeps its graphs in `onnx/`. */
async function companionFolder(path: string): Promise<string> {
  const own = dirname(path)
  const folders = basename(own) === 'onnx' ? [own, dirname(own)] : [own]
  for (const folder of folders) {
    if (await isThere(join(folder, 'tokenizer.json'))) return folder
  }
  throw new CheckpointError(
    `There is no tokenizer.json beside ${path} (looked in ${folders.join(', ')})`,
  )
}

/** Both kinds of configuration by the names of config.json. */
async function readConfig(folder: string): Promise<JsonRecord> {
  const config = (await readJsonIfThere(folder, 'config.json')) ?? {}
  const genai = await readJsonIfThere(folder, 'genai_config.json')
  const model = isRecord(genai?.model) ? genai.model : {}
  const decoder = isRecord(model.decoder) ? model.decoder : {}
  const known = {
    model_type: model.type,
    max_position_embeddings: model.context_length,
    vocab_size: model.vocab_size,
    eos_token_id: model.eos_token_id,
    bos_token_id: model.bos_token_id,
    head_dim: decoder.head_size,
    hidden_size: decoder.hidden_size,
    num_attention_heads: decoder.num_attention_heads,
    num_key_value_heads: decoder.num_key_value_heads,
  }
  const given = Object.entries(known).filter(([, value]) => value !== undefined)
  return { ...config, ...Object.fromEntries(given) }
}

function architectureOf(
  config: JsonRecord,
  layers: number,
  past: GraphPort,
  logits: GraphPort,
  refuse: (problem: string) => never,
): Architecture {
  const count = (name: string) => {
    const value = config[name]
    return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : 0
  }
  const number = (name: string) => (typeof config[name] === 'number' ? config[name] : 0)
  const needed = (extent: number | string | undefined, name: string) => {
    if (typeof extent === 'number' && extent > 0) return extent
    return count(name) || refuse(`neither the graph nor its configuration says ${name}`)
  }
  const heads = count('num_attention_heads')
  const hiddenSize = count('hidden_size')
  return {
    family: FAMILIES.find((family) => family === config.model_type) ?? 'other',
    layers,
    hiddenSize,
    intermediateSize: count('intermediate_size'),
    heads,
    kvHeads: needed(past.shape[1], 'num_key_value_heads'),
    headDim: needed(past.shape[3], 'head_dim'),
    vocabSize: needed(logits.shape[2], 'vocab_size'),
    contextLength: needed(undefined, 'max_position_embeddings'),
    normEpsilon: number('rms_norm_eps'),
    ropeTheta: number('rope_theta'),
    ropeScaling: null,
    tiedEmbeddings: false,
    qkvBias: false,
    qkNorm: false,
    slidingWindow: count('sliding_window') || null,
  }
}
