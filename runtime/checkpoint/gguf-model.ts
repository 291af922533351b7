// What a GGUF file's metadata and tensor names mean: its architecture, and its tensors under
// Hugging Face's names.
//
// GGUF knows Mistral as llama. Files of the llama architecture store the rows of q and k in the
// order of interleaved rotary (pairs 2i, 2i+1), because ggml's rotary for it is; everything here is
// half-split (pairs i, i + d/2), so those rows are put back. Qwen's files are half-split already.
//
// Knows: ggml's keys and names (its gguf-py constants). Does not know: bytes, tokenizers.

import type { Architecture, Family } from '../../models/manifest.ts'
import { CheckpointError } from './checkpoint.ts'
import { Fields, show } from './fields.ts'
import type { GgufFile } from './gguf.ts'
import { scalingFromFactors } from './rope-factors.ts'

const FAMILY_OF_ARCHITECTURE: Record<string, Family> = {
  llama: 'llama',
  qwen2: 'qwen2',
  qwen3: 'qwen3',
}

const ROPE_FACTORS = 'rope_freqs.weight'

const MODEL_NAMES: Record<string, string> = {
  'token_embd.weight': 'model.embed_tokens.weight',
  'output_norm.weight': 'model.norm.weight',
  'output.weight': 'lm_head.weight',
}

const LAYER_NAMES: Record<string, string> = {
  attn_norm: 'input_layernorm',
  ffn_norm: 'post_attention_layernorm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
  attn_q_norm: 'self_attn.q_norm',
  attn_k_norm: 'self_attn.k_norm',
  ffn_gate: 'mlp.gate_proj',
  ffn_up: 'mlp.up_proj',
  ffn_down: 'mlp.down_proj',
}

/**
 * Hugging Face's name → the file's own. Tensors that no supported family has keep the file's name;
 * the factors of rope scaling are part of the architecture and left out.
 */
export function tensorNames(file: GgufFile): Map<string, string> {
  const names = new Map<string, string>()
  for (const name of file.tensors.keys()) {
    if (name !== ROPE_FACTORS) names.set(huggingFaceName(name), name)
  }
  return names
}

function huggingFaceName(name: string): string {
  const modelName = MODEL_NAMES[name]
  if (modelName !== undefined) return modelName
  const [, layer, part, kind] = /^blk\.(\d+)\.(\w+)\.(weight|bias)$/.exec(name) ?? []
  const layerName = part === undefined ? undefined : LAYER_NAMES[part]
  return layerName === undefined ? name : `model.layers.${layer}.${layerName}.${kind}`
}

/**
 * @throws CheckpointError naming the family or the keys that are missing, contradictory or
 * unsupported
 */
export async function readGgufArchitecture(file: GgufFile): Promise<Architecture> {
  const { path, metadata } = file
  const name = metadata.get('general.architecture')
  const family = typeof name === 'string' ? FAMILY_OF_ARCHITECTURE[name] : undefined
  if (family === undefined) {
    throw new CheckpointError(
      `${path} is of the architecture ${show(name)}; ` +
        `supported are ${Object.keys(FAMILY_OF_ARCHITECTURE).join(', ')} (llama includes Mistral)`,
    )
  }
  const fields = new Fields(path, (key) => metadata.get(key))
  const of = (key: string) => `${family}.${key}`
  refuseUnsupported(fields, of)
  const heads = fields.count(of('attention.head_count'))
  const hiddenSize = fields.count(of('embedding_length'))
  const kvHeads = fields.count(of('attention.head_count_kv'), heads)
  if (heads % kvHeads > 0) {
    fields.refuse(`${heads} heads are not a multiple of ${kvHeads} key and value heads`)
  }
  const headDim = fields.count(of('attention.key_length'), hiddenSize / heads)
  if (headDim % 2 > 0) {
    fields.refuse(`heads have ${headDim} dimensions; rotary needs an even number`)
  }
  for (const key of ['attention.value_length', 'rope.dimension_count'].map(of)) {
    const value = fields.count(key, headDim)
    if (!Object.is(value, headDim)) {
      fields.refuse(`${key} is ${value} where heads have ${headDim} dimensions; they must be equal`)
    }
  }
  const slidingWindow = fields.raw(of('attention.sliding_window'))
  const ropeTheta = fields.positive(of('rope.freq_base'), 10_000)
  const architecture: Architecture = {
    family,
    layers: fields.count(of('block_count')),
    hiddenSize,
    intermediateSize: fields.count(of('feed_forward_length')),
    heads,
    kvHeads,
    headDim,
    vocabSize: file.tensors.get('token_embd.weight')?.shape[0] ?? NaN,
    contextLength: fields.count(of('context_length')),
    // Stored as float32: seven digits give 1e-5 back where the widened number is 9.999999747e-6.
    normEpsilon: Number(fields.positive(of('attention.layer_norm_rms_epsilon')).toPrecision(7)),
    ropeTheta,
    ropeScaling: readLinearScaling(fields, of),
    tiedEmbeddings: !file.tensors.has('output.weight'),
    qkvBias: family === 'qwen2',
    qkNorm: family === 'qwen3',
    slidingWindow: typeof slidingWindow === 'number' && slidingWindow > 0 ? slidingWindow : null,
  }
  if (Number.isNaN(architecture.vocabSize)) fields.refuse('tensor token_embd.weight is missing')
  fields.check()
  if (file.tensors.has(ROPE_FACTORS)) {
    architecture.ropeScaling = await readFactors(file, architecture)
  }
  return architecture
}

function refuseUnsupported(fields: Fields, of: (key: string) => string): void {
  const experts = fields.raw(of('expert_count'))
  if (typeof experts === 'number' && experts > 0) {
    fields.refuse(`it is a mixture of ${experts} experts; only dense models are supported`)
  }
  const parts = fields.raw('split.count')
  if (typeof parts === 'number' && parts > 1) {
    fields.refuse(
      `it is one of ${parts} parts of a model; merge them first (llama-gguf-split --merge)`,
    )
  }
}

function readLinearScaling(
  fields: Fields,
  of: (key: string) => string,
): Architecture['ropeScaling'] {
  const type = fields.text(of('rope.scaling.type')) ?? 'none'
  if (type === 'none') {
    // Files from before there were types have only this.
    const factor = fields.positive(of('rope.scale_linear'), 1)
    return factor === 1 ? null : { type: 'linear', factor }
  }
  if (type === 'linear') {
    return { type: 'linear', factor: fields.positive(of('rope.scaling.factor')) }
  }
  fields.refuse(
    `${of('rope.scaling.type')} is ${JSON.stringify(type)}; supported are none, linear, and Llama 3's factors in ${ROPE_FACTORS}`,
  )
  return null
}

async function readFactors(
  file: GgufFile,
  architecture: Architecture,
): Promise<Architecture['ropeScaling']> {
  const factors = await file.read(ROPE_FACTORS)
  const scaling = scalingFromFactors(factors, architecture.ropeTheta)
  if (factors.length === architecture.headDim / 2 && scaling !== undefined) return scaling
  throw new CheckpointError(
    `The ${factors.length} factors of ${ROPE_FACTORS} in ${file.path} are not those of Llama 3's rope scaling ` +
      `for ${architecture.headDim / 2} frequencies; no other scaling by factors is supported`,
  )
}

/**
 * Whether a tensor's rows are in the order of interleaved rotary, and how many heads they belong
 * to; null if not.
 */
export function interleavedHeads(architecture: Architecture, name: string): number | null {
  if (architecture.family !== 'llama') return null
  if (/\.self_attn\.q_proj\.(weight|bias)$/.test(name)) return architecture.heads
  if (/\.self_attn\.k_proj\.(weight|bias)$/.test(name)) return architecture.kvHeads
  return null
}

/** Rows in half-split order: row 2i + s of each head becomes row i + s · d/2. */
export function undoInterleaving(values: Float32Array, heads: number, rows: number): Float32Array {
  const columns = values.length / rows
  const headDim = rows / heads
  const ordered = new Float32Array(values.length)
  for (let head = 0; head < heads; head++) {
    for (let row = 0; row < headDim; row++) {
      const from = (head * headDim + row) * columns
      const to = head * headDim + (row >> 1) + (row & 1) * (headDim / 2)
      ordered.set(values.subarray(from, from + columns), to * columns)
    }
  }
  return ordered
}
