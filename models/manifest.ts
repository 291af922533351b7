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

import { ArchitectureSchema, GRAPH_LAYOUTS, SamplingSchema } from './decoder.ts'
import type { Architecture, GraphLayout, SamplingDefaults } from './decoder.ts'
import {
  ENCODER_KINDS,
  ENCODER_LAYOUTS,
  EncoderArchitectureSchema,
  EncoderOutputSchema,
} from './encoder.ts'
import type { EncoderArchitecture, EncoderGraph, EncoderKind, EncoderOutput } from './encoder.ts'
import { schemaProblems } from './schema-problems.ts'

export { FAMILIES } from './decoder.ts'
export type * from './decoder.ts'

export const MANIFEST_FILE = 'manifest.json'
export const MANIFEST_FORMAT = 1

/** Those whose activations are in single precision. */
export const PROCESSOR_PRECISIONS = ['fp32', 'int8', 'int4'] as const
/** Those whose activations are in half precision, as attention on GPUs wants them. */
export const GPU_PRECISIONS = ['fp16', 'int4-fp16'] as const
export const PRECISIONS = [...PROCESSOR_PRECISIONS, ...GPU_PRECISIONS] as const
export type Precision = (typeof PRECISIONS)[number]

// The fastest that stays within 1 % of fp32's perplexity; `make bench` measures both.
export const DEFAULT_PRECISION: Precision = 'int8'

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

/** What every manifest says, whatever the model does. */
interface AnyManifest {
  format: typeof MANIFEST_FORMAT
  model: string
  /** `1`, `2`, … in the order of import */
  version: string
  /** ISO 8601 */
  created: string
  source: ManifestSource
  /** SPDX id or the source's own words; null where the source names none */
  licence: string | null
  parameters: number
  /** exported: whatever the graph that somebody else exported has */
  precision: Precision | 'exported'
  contextLength: number
  /** absent: the checkpoint was a model of its own; `source` is the adapter's own otherwise */
  adapter?: AdapterRecord
  /** every other file of the folder */
  files: Record<string, { sha256: string; bytes: number }>
}

/** A model that continues texts. */
export interface DecoderManifest extends AnyManifest {
  /** absent in files that were written before there were other kinds */
  kind: 'generate'
  architecture: Architecture
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

/** A model that reads a whole text at once and says something of it. */
export interface EncoderManifest extends AnyManifest {
  kind: EncoderKind
  architecture: EncoderArchitecture
  tokenizer: { file: string; configFile: string; padTokenId: number }
  output: EncoderOutput
  graph: EncoderGraph
}

export type Manifest = DecoderManifest | EncoderManifest

/** A manifest before the store has numbered, dated and hashed it. */
type Drafted<T> = Omit<T, 'version' | 'created' | 'files'>
export type DecoderDraft = Drafted<DecoderManifest>
export type EncoderDraft = Drafted<EncoderManifest>
export type ManifestDraft = DecoderDraft | EncoderDraft

/** A manifest that can't be used; the message names the file and every field that is wrong. */
export class ManifestError extends Error {
  override name = 'ManifestError'
}

/** Names of models: a folder's name and a part of URLs and metric labels, so never a path and never long. */
export const MODEL_NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/
export const VERSION_NUMBER = /^[1-9][0-9]{0,8}$/

const Count = Type.Integer({ minimum: 1 })
const TokenId = Type.Integer({ minimum: 0 })
const Sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' })
// Files lie beside the manifest: a name with a slash could point out of the folder.
const FILE_NAME = '^[A-Za-z0-9][A-Za-z0-9._-]*$'
const FileName = Type.String({ pattern: FILE_NAME })
const nullable = <T extends Type.TSchema>(schema: T) => Type.Union([Type.Null(), schema])

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

const anyManifest = {
  format: Type.Literal(MANIFEST_FORMAT),
  model: Type.String({ pattern: MODEL_NAME.source }),
  version: Type.String({ pattern: VERSION_NUMBER.source }),
  created: Type.String({ pattern: '^\\d{4}-\\d{2}-\\d{2}T[0-9:.]+Z$' }),
  source: SourceSchema,
  licence: nullable(Type.String()),
  parameters: Count,
  precision: Type.Enum([...PRECISIONS, 'exported']),
  contextLength: Count,
  adapter: Type.Optional(AdapterSchema),
  files: Type.Record(
    Type.String({ pattern: FILE_NAME }),
    Type.Object({ sha256: Sha256, bytes: Type.Integer({ minimum: 0 }) }),
    { additionalProperties: false },
  ),
}

const DecoderSchema = Type.Object({
  ...anyManifest,
  kind: Type.Literal('generate'),
  architecture: ArchitectureSchema,
  tokenizer: Type.Object({
    file: FileName,
    configFile: FileName,
    bosTokenId: nullable(TokenId),
    endTokenIds: Type.Array(TokenId),
  }),
  chatTemplate: nullable(Type.String()),
  sampling: SamplingSchema,
  graph: Type.Object({
    file: FileName,
    dataFile: FileName,
    adaptersFile: Type.Optional(FileName),
    candidates: Count,
    kvType: Type.Enum(['f32', 'i8', 'f16']),
    layout: Type.Optional(Type.Enum([...GRAPH_LAYOUTS])),
    logitsType: Type.Optional(Type.Enum(['f32', 'f16'])),
  }),
})

const EncoderSchema = Type.Object({
  ...anyManifest,
  kind: Type.Enum([...ENCODER_KINDS]),
  architecture: EncoderArchitectureSchema,
  tokenizer: Type.Object({ file: FileName, configFile: FileName, padTokenId: TokenId }),
  output: EncoderOutputSchema,
  graph: Type.Object({
    file: FileName,
    dataFile: nullable(FileName),
    layout: Type.Enum([...ENCODER_LAYOUTS]),
    output: Type.String({ minLength: 1 }),
  }),
})

/**
 * @param file named in the error
 * @throws ManifestError naming every field that is missing or wrong, what was found and what is allowed
 */
export function parseManifest(json: unknown, file: string): Manifest {
  const manifest = read(json, file)
  const unlisted = namedFiles(manifest).filter((name) => !Object.hasOwn(manifest.files, name))
  if (unlisted.length > 0) {
    throw new ManifestError(`${file}: files does not list ${unlisted.join(', ')}`)
  }
  return manifest
}

/** @throws ManifestError where the model does not continue texts */
export function decoderOf(manifest: Manifest): DecoderManifest {
  if (manifest.kind === 'generate') return manifest
  throw new ManifestError(
    `${manifest.model}@${manifest.version} is of the kind '${manifest.kind}'; needed is 'generate'`,
  )
}

/** The files that a version can't do without. */
export function namedFiles({ graph, tokenizer }: ManifestDraft): string[] {
  const named = [graph.file, graph.dataFile, tokenizer.file, tokenizer.configFile]
  return named.filter((name) => name !== null)
}

function read(json: unknown, file: string): Manifest {
  const whole: unknown = isObject(json) && !('kind' in json) ? { ...json, kind: 'generate' } : json
  if (isEncoder(whole)) {
    if (!Check(EncoderSchema, whole)) throw misfit(EncoderSchema, whole, file)
    if (whole.output.kind === whole.kind) return whole
    throw new ManifestError(`${file}: output.kind is ${whole.output.kind}: must be ${whole.kind}`)
  }
  if (!Check(DecoderSchema, whole)) throw misfit(DecoderSchema, whole, file)
  return whole
}

function isEncoder(json: unknown): boolean {
  return isObject(json) && 'kind' in json && ENCODER_KINDS.some((kind) => kind === json.kind)
}

function isObject(json: unknown): json is object {
  return typeof json === 'object' && json !== null && !Array.isArray(json)
}

function misfit(schema: Type.TSchema, json: unknown, file: string): ManifestError {
  return new ManifestError(`${file}: ${schemaProblems(schema, json).join('; ')}`)
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
