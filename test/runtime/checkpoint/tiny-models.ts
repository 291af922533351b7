// Whole checkpoints of a few kilobytes, in either format, for an architecture from
// test/support/random-checkpoint.ts.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { Architecture } from '../../../models/manifest.ts'
import { f32, floats, i32s, text, texts, u32 } from '../../support/gguf.ts'
import type { GgufToWrite, GgufValue } from '../../support/gguf.ts'
import type { MemoryCheckpoint } from '../../support/random-checkpoint.ts'
import type { TensorToWrite } from '../../support/safetensors.ts'
import { writeSafetensors } from '../../support/safetensors.ts'

export const CHAT_TEMPLATE =
  "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"

/** The printable letters of byte-level BPE, in the order of their bytes. */
export function byteLetters(): string[] {
  const isPrintable = (byte: number) =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174
  let moved = 256
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCharCode(isPrintable(byte) ? byte : moved++),
  )
}

const MERGES = ['h e', 'l l', 'he ll', 'hell o', 'Ġ w', '1 2', '12 3', '123 4']

/** 3 special tokens, the bytes, the merges, one user-defined token. */
export function byteLevelTokens(): { tokens: string[]; kinds: number[] } {
  const merged = MERGES.map((merge) => merge.replace(' ', ''))
  const tokens = [
    '<|endoftext|>',
    '<|im_start|>',
    '<|im_end|>',
    ...byteLetters(),
    ...merged,
    '<tool>',
  ]
  const kinds = tokens.map((_, id) => (id < 3 ? 3 : id === tokens.length - 1 ? 4 : 1))
  return { tokens, kinds }
}

export function byteLevelMetadata(pre: string | null): Record<string, GgufValue> {
  const { tokens, kinds } = byteLevelTokens()
  return {
    'tokenizer.ggml.model': text('gpt2'),
    ...(pre === null ? {} : { 'tokenizer.ggml.pre': text(pre) }),
    'tokenizer.ggml.tokens': texts(tokens),
    'tokenizer.ggml.token_type': i32s(kinds),
    'tokenizer.ggml.merges': texts(MERGES),
    'tokenizer.ggml.bos_token_id': u32(1),
    'tokenizer.ggml.eos_token_id': u32(0),
    'tokenizer.chat_template': text(CHAT_TEMPLATE),
  }
}

/** config.json as transformers writes it for an architecture. */
export function configOf(architecture: Architecture): Record<string, unknown> {
  const { family, ropeScaling } = architecture
  const name = family[0]!.toUpperCase() + family.slice(1)
  return {
    architectures: [`${name}ForCausalLM`],
    model_type: family,
    hidden_act: 'silu',
    hidden_size: architecture.hiddenSize,
    intermediate_size: architecture.intermediateSize,
    num_hidden_layers: architecture.layers,
    num_attention_heads: architecture.heads,
    num_key_value_heads: architecture.kvHeads,
    head_dim: architecture.headDim,
    vocab_size: architecture.vocabSize,
    max_position_embeddings: architecture.contextLength,
    rms_norm_eps: architecture.normEpsilon,
    rope_theta: architecture.ropeTheta,
    rope_scaling:
      ropeScaling?.type === 'llama3'
        ? {
            rope_type: 'llama3',
            factor: ropeScaling.factor,
            low_freq_factor: ropeScaling.lowFreqFactor,
            high_freq_factor: ropeScaling.highFreqFactor,
            original_max_position_embeddings: ropeScaling.originalContextLength,
          }
        : ropeScaling,
    tie_word_embeddings: architecture.tiedEmbeddings,
    sliding_window: architecture.slidingWindow,
    eos_token_id: 0,
  }
}

export function tensorsOf(checkpoint: MemoryCheckpoint): Record<string, TensorToWrite> {
  const entries = [...checkpoint.tensors.values()].map(
    ({ name, shape }) => [name, { shape, values: checkpoint.weights.get(name)! }] as const,
  )
  return Object.fromEntries(entries)
}

export async function writeJsonFile(folder: string, name: string, value: unknown): Promise<void> {
  await writeFile(join(folder, name), JSON.stringify(value))
}

export function tokenizerJson(): Record<string, unknown> {
  const { tokens, kinds } = byteLevelTokens()
  return {
    version: '1.0',
    added_tokens: tokens.flatMap((content, id) =>
      kinds[id] === 1 ? [] : [{ id, content, special: kinds[id] === 3, normalized: false }],
    ),
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
    post_processor: null,
    decoder: { type: 'ByteLevel' },
    model: {
      type: 'BPE',
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: MERGES,
    },
  }
}

export async function writeFolder(folder: string, checkpoint: MemoryCheckpoint): Promise<void> {
  await writeJsonFile(folder, 'config.json', configOf(checkpoint.architecture))
  await writeJsonFile(folder, 'tokenizer.json', tokenizerJson())
  await writeJsonFile(folder, 'tokenizer_config.json', {
    bos_token: '<|im_start|>',
    eos_token: { content: '<|endoftext|>', special: true },
    chat_template: CHAT_TEMPLATE,
  })
  await writeSafetensors(join(folder, 'model.safetensors'), tensorsOf(checkpoint))
}

const LAYER_NAMES: Record<string, string> = {
  input_layernorm: 'attn_norm',
  post_attention_layernorm: 'ffn_norm',
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'self_attn.q_norm': 'attn_q_norm',
  'self_attn.k_norm': 'attn_k_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
}

/**
 * The same model as a converter to GGUF writes it: its own names, and q and k of llama in
 * interleaved order.
 */
export function ggufOf(checkpoint: MemoryCheckpoint): GgufToWrite {
  const { architecture } = checkpoint
  const arch = architecture.family === 'mistral' ? 'llama' : architecture.family
  const file: GgufToWrite = {
    metadata: {
      'general.architecture': text(arch),
      'general.license': text('apache-2.0'),
      [`${arch}.block_count`]: u32(architecture.layers),
      [`${arch}.context_length`]: u32(architecture.contextLength),
      [`${arch}.embedding_length`]: u32(architecture.hiddenSize),
      [`${arch}.feed_forward_length`]: u32(architecture.intermediateSize),
      [`${arch}.attention.head_count`]: u32(architecture.heads),
      [`${arch}.attention.head_count_kv`]: u32(architecture.kvHeads),
      [`${arch}.attention.key_length`]: u32(architecture.headDim),
      [`${arch}.attention.value_length`]: u32(architecture.headDim),
      [`${arch}.rope.freq_base`]: f32(architecture.ropeTheta),
      [`${arch}.attention.layer_norm_rms_epsilon`]: f32(architecture.normEpsilon),
      ...byteLevelMetadata('smollm'),
    },
    tensors: {},
  }
  for (const { name, shape } of checkpoint.tensors.values()) {
    const values = checkpoint.weights.get(name)!
    const [, part] = /self_attn\.([qk])_proj/.exec(name) ?? []
    const heads = part === 'q' ? architecture.heads : architecture.kvHeads
    const isInterleaved = arch === 'llama' && part !== undefined
    file.tensors[ggufName(name)] = {
      shape,
      bytes: floats(isInterleaved ? interleave(values, heads, shape[0]!) : values),
    }
  }
  return file
}

function ggufName(name: string): string {
  if (name === 'model.embed_tokens.weight') return 'token_embd.weight'
  if (name === 'model.norm.weight') return 'output_norm.weight'
  if (name === 'lm_head.weight') return 'output.weight'
  const [, layer, part, kind] = /^model\.layers\.(\d+)\.(.*)\.(weight|bias)$/.exec(name)!
  return `blk.${layer}.${LAYER_NAMES[part!]}.${kind}`
}

/** Row i + s · d/2 of each head becomes row 2i + s. */
function interleave(values: Float32Array, heads: number, rows: number): Float32Array {
  const columns = values.length / rows
  const half = rows / heads / 2
  return values.map((_, index) => {
    const row = Math.floor(index / columns)
    const within = row % (2 * half)
    const from = row - within + Math.floor(within / 2) + (within % 2) * half
    return values[from * columns + (index % columns)]!
  })
}
