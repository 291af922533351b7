// Opens the folder of an encoder: its tensors, or an export of its graph, and what both mean.
//
// By the time it returns, everything that can be known without converting a weight has been checked.

import { readdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

import type { EncoderArchitecture, EncoderOutput } from '../../models/encoder.ts'
import { readGraphOutline } from '../graph/onnx-reader.ts'
import type { GraphOutline, GraphPort } from '../graph/onnx-reader.ts'
import { CheckpointError } from './checkpoint.ts'
import type { EncoderCheckpoint, EncoderTokenizer } from './encoder-checkpoint.ts'
import { familyOf, headOf, readEncoderArchitecture, readEncoderOutput } from './encoder-config.ts'
import { findTensors } from './encoder-tensors.ts'
import { Fields } from './fields.ts'
import { graphWeights } from './graph-weights.ts'
import { isRecord, readJson, readJsonIfThere } from './json-file.ts'
import type { JsonRecord } from './json-file.ts'
import { readLicence } from './licence.ts'
import { openSafetensors } from './safetensors.ts'
import { readSentenceSettings } from './sentence-transformers.ts'

/** An export by others, to be served as it is. */
export interface EncoderExport extends Omit<
  EncoderCheckpoint,
  'head' | 'tensors' | 'read' | 'close'
> {
  /** the graph, then the file of its weights where it has one */
  files: string[]
  parameters: number
  /** name of the output that is read */
  graphOutput: string
}

export type EncoderSource =
  { kind: 'checkpoint'; checkpoint: EncoderCheckpoint } | { kind: 'export'; export: EncoderExport }

const GRAPHS = ['model.onnx', 'onnx/model.onnx']
const CONFIG = 'config.json'
const DOMAINS = ['', 'ai.onnx', 'com.microsoft']
const VECTOR_OUTPUTS = ['sentence_embedding', 'last_hidden_state', 'token_embeddings']

type EmbedOutput = Extract<EncoderOutput, { kind: 'embed' }>

/**
 * @returns null where the path leads to something else than an encoder
 * @throws CheckpointError naming the file, field or tensor, what was found and what is supported
 */
export async function openEncoder(path: string): Promise<EncoderSource | null> {
  if (path.endsWith('.onnx')) return openGraph(path)
  const folder = path
  const names = await filesIn(folder)
  if (!names.includes(CONFIG)) return null
  const config = await readJson(folder, CONFIG, 'it says what the tensors mean')
  const hasTensors = names.some((name) => /^[^/]+\.safetensors(\.index\.json)?$/.test(name))
  const graph = exportIn(names)
  if (hasTensors && familyOf(config) === null) return null
  if (hasTensors) {
    return { kind: 'checkpoint', checkpoint: await openTensors(folder, config) }
  }
  return graph === null ? null : openGraph(join(folder, graph))
}

/** Its configuration is beside it, or above the folder `onnx/` that it is in. */
async function openGraph(path: string): Promise<EncoderSource | null> {
  const outline = await readGraphOutline(path)
  // What reads a cache generates.
  if (outline.inputs.some(({ name }) => name.startsWith('past'))) return null
  const own = dirname(path)
  const folders = basename(own) === 'onnx' ? [own, dirname(own)] : [own]
  for (const folder of folders) {
    const config = await readJsonIfThere(folder, CONFIG)
    if (config && isGenerator(config)) return null
    if (config) {
      return { kind: 'export', export: await openExport(folder, config, path, outline) }
    }
  }
  throw new CheckpointError(`There is no ${CONFIG} for ${path} (looked in ${folders.join(', ')})`)
}

/** The one graph of a folder; `onnx/` may hold the same at several precisions. */
function exportIn(names: string[]): string | null {
  const usual = GRAPHS.find((name) => names.includes(name))
  if (usual !== undefined) return usual
  const graphs = names.filter((name) => /^(onnx\/)?[^/]+\.onnx$/.test(name))
  return graphs.length === 1 ? (graphs[0] ?? null) : null
}

/** Whether it says so itself; what is wrong with one is for those who know decoders to say. */
function isGenerator({ architectures }: JsonRecord): boolean {
  const name: unknown = Array.isArray(architectures) ? architectures[0] : undefined
  return typeof name === 'string' && /For(CausalLM|ConditionalGeneration)$|LMHeadModel$/.test(name)
}

async function openTensors(folder: string, config: JsonRecord): Promise<EncoderCheckpoint> {
  const where = join(folder, CONFIG)
  const architecture = readEncoderArchitecture(config, where)
  const meaning = await readMeaning(folder, config, architecture)
  const head = headOf(architecture.family, meaning.output)
  const source = await openSafetensors(folder)
  try {
    const { tensors, names } = findTensors(architecture, head, source, folder)
    return {
      ...meaning,
      architecture,
      head,
      tensors,
      async read(name) {
        const stored = names.get(name)
        if (stored === undefined) throw new CheckpointError(`${folder} has no tensor ${name}`)
        return source.read(stored)
      },
      close: () => source.close(),
    }
  } catch (error) {
    await source.close()
    throw error
  }
}

async function openExport(
  folder: string,
  config: JsonRecord,
  graph: string,
  { outputs, operators, dataFiles, parameters }: GraphOutline,
): Promise<EncoderExport> {
  const foreign = [...operators].filter((name) => !DOMAINS.includes(name.split(':')[0] ?? ''))
  if (foreign.length > 0) {
    const names = foreign.join(', ')
    throw new CheckpointError(`${graph} needs operators that ONNX Runtime does not have: ${names}`)
  }
  if (dataFiles.size > 1) {
    throw new CheckpointError(
      `${graph} has its weights in several files (${[...dataFiles].join(', ')}); supported is one`,
    )
  }
  const architecture = readExported(config, join(folder, CONFIG))
  const { output, ...meaning } = await readMeaning(folder, config, architecture)
  const wanted = output.kind === 'embed' ? VECTOR_OUTPUTS : ['logits']
  const port = wanted.map((name) => outputs.find((one) => one.name === name)).find(Boolean)
  if (port === undefined) {
    const given = outputs.map(({ name }) => name).join(', ')
    throw new CheckpointError(
      `${graph} gives ${given}; needed for '${output.kind}' is ${wanted.join(' or ')}`,
    )
  }
  return {
    ...meaning,
    output: output.kind === 'embed' ? pooledBy(port, output) : output,
    architecture,
    files: [graph, ...(await graphWeights(graph, { dataFiles }))],
    parameters: Math.max(1, parameters),
    graphOutput: port.name,
  }
}

/** A graph that pools by itself gives a vector a text, of whatever length it says. */
function pooledBy({ name, shape }: GraphPort, output: EmbedOutput): EmbedOutput {
  const size = shape.at(-1)
  const dimensions = typeof size === 'number' && size > 0 ? size : output.dimensions
  return { ...output, dimensions, pooling: name === 'sentence_embedding' ? null : output.pooling }
}

/** Of an export only the sizes that its numbers have matter; the rest is in the graph. */
function readExported(config: JsonRecord, where: string): EncoderArchitecture {
  const fields = new Fields(where, (name) => config[name])
  const either = (name: string, other: string) =>
    fields.count(fields.has(name) ? name : fields.has(other) ? other : name)
  const family = familyOf(config)
  const positions = fields.count('max_position_embeddings', 512)
  const architecture: EncoderArchitecture = {
    family: 'onnx',
    layers: either('num_hidden_layers', 'n_layers'),
    hiddenSize: either('hidden_size', 'dim'),
    intermediateSize: either('intermediate_size', 'hidden_dim'),
    heads: either('num_attention_heads', 'n_heads'),
    vocabSize: fields.count('vocab_size'),
    contextLength: family === 'roberta' ? positions - 2 : positions,
    segments: fields.count('type_vocab_size', 0, 0),
    normEpsilon: fields.positive('layer_norm_eps', 1e-12),
    activation: 'gelu',
  }
  fields.check()
  return architecture
}

interface Meaning {
  output: EncoderOutput
  tokenizer: EncoderTokenizer
  contextLength: number
  licence: string | null
}

async function readMeaning(
  folder: string,
  config: JsonRecord,
  { hiddenSize, contextLength }: EncoderArchitecture,
): Promise<Meaning> {
  const output = readEncoderOutput(config, join(folder, CONFIG))
  const { pooling, isNormalised, maxTokens } = await readSentenceSettings(folder)
  return {
    output:
      output.kind === 'embed'
        ? { kind: 'embed', pooling, isNormalised, dimensions: hiddenSize }
        : output,
    tokenizer: await readTokenizer(folder, config),
    contextLength: Math.min(contextLength, maxTokens ?? Infinity),
    licence: await readLicence(folder),
  }
}

async function readTokenizer(folder: string, config: JsonRecord): Promise<EncoderTokenizer> {
  const json = await readJson(
    folder,
    'tokenizer.json',
    "the tokenizer in Hugging Face's fast format is needed (a vocabulary alone can be converted with transformers)",
  )
  if (!isRecord(json.model)) {
    throw new CheckpointError(`${join(folder, 'tokenizer.json')} has no model`)
  }
  const { pad_token_id: id } = config
  const padTokenId = typeof id === 'number' && Number.isInteger(id) && id >= 0 ? id : 0
  return {
    json,
    config: (await readJsonIfThere(folder, 'tokenizer_config.json')) ?? {},
    padTokenId,
  }
}

/** With those of `onnx/`; none where the path leads to a file. */
async function filesIn(folder: string): Promise<string[]> {
  try {
    const inner = await readdir(join(folder, 'onnx')).catch(() => [])
    return [...(await readdir(folder)), ...inner.map((name) => `onnx/${name}`)].sort()
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOTDIR') return []
    throw new CheckpointError(`There is no checkpoint at ${folder}: ${String(cause)}`, { cause })
  }
}
