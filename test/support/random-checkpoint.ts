// A checkpoint in memory with random weights, of any family and shape: what the graph builder takes, without files.

import type { Architecture, Family } from '../../models/manifest.ts'
import type { Checkpoint } from '../../runtime/checkpoint/checkpoint.ts'

export const TINY: Architecture = {
  family: 'llama',
  layers: 3,
  hiddenSize: 64,
  intermediateSize: 128,
  heads: 4,
  kvHeads: 2,
  headDim: 32,
  vocabSize: 300,
  contextLength: 256,
  normEpsilon: 1e-5,
  ropeTheta: 10_000,
  ropeScaling: null,
  tiedEmbeddings: true,
  qkvBias: false,
  qkNorm: false,
  slidingWindow: null,
}

/** The smallest architecture that shows what is special about a family. */
export function tinyArchitecture(family: Family): Architecture {
  if (family === 'qwen2') return { ...TINY, family, qkvBias: true, tiedEmbeddings: false }
  // heads · headDim differs from hiddenSize, as it does in Qwen 3
  if (family === 'qwen3') return { ...TINY, family, qkNorm: true, heads: 6 }
  if (family === 'mistral') return { ...TINY, family, slidingWindow: 16, tiedEmbeddings: false }
  return {
    ...TINY,
    ropeScaling: {
      type: 'llama3',
      factor: 8,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalContextLength: 64,
    },
  }
}

/** Uniform in −1…1, the same for the same seed (Marsaglia's xorshift32). */
export function randomSource(seed: number): () => number {
  let state = seed >>> 0 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state / 2 ** 31 - 1
  }
}

export interface MemoryCheckpoint extends Checkpoint {
  weights: Map<string, Float32Array>
}

/** @param outlier multiplies a few features of each norm, which is what makes activations hard to quantise */
export function randomCheckpoint(
  architecture: Architecture,
  { seed = 1, outlier = 1 } = {},
): MemoryCheckpoint {
  const random = randomSource(seed)
  const weights = new Map<string, Float32Array>()
  const tensors: Checkpoint['tensors'] = new Map()
  const add = (name: string, shape: number[], value: (index: number) => number) => {
    const length = shape.reduce((product, extent) => product * extent, 1)
    weights.set(
      name,
      Float32Array.from({ length }, (_, index) => value(index)),
    )
    tensors.set(name, { name, shape })
  }
  const matrix = (name: string, rows: number, columns: number) => {
    const spread = Math.sqrt(3 / columns)
    add(name, [rows, columns], () => random() * spread)
  }
  const norm = (name: string, length: number) =>
    add(name, [length], (index) => (1 + 0.1 * random()) * (index % 29 === 3 ? outlier : 1))
  const { hiddenSize, intermediateSize, heads, kvHeads, headDim, vocabSize } = architecture
  matrix('model.embed_tokens.weight', vocabSize, hiddenSize)
  for (let layer = 0; layer < architecture.layers; layer++) {
    const name = `model.layers.${layer}`
    norm(`${name}.input_layernorm.weight`, hiddenSize)
    for (const [part, count] of [
      ['q', heads],
      ['k', kvHeads],
      ['v', kvHeads],
    ] as const) {
      matrix(`${name}.self_attn.${part}_proj.weight`, count * headDim, hiddenSize)
      if (architecture.qkvBias) {
        add(`${name}.self_attn.${part}_proj.bias`, [count * headDim], () => 0.3 * random())
      }
    }
    if (architecture.qkNorm) {
      norm(`${name}.self_attn.q_norm.weight`, headDim)
      norm(`${name}.self_attn.k_norm.weight`, headDim)
    }
    matrix(`${name}.self_attn.o_proj.weight`, hiddenSize, heads * headDim)
    norm(`${name}.post_attention_layernorm.weight`, hiddenSize)
    matrix(`${name}.mlp.gate_proj.weight`, intermediateSize, hiddenSize)
    matrix(`${name}.mlp.up_proj.weight`, intermediateSize, hiddenSize)
    matrix(`${name}.mlp.down_proj.weight`, hiddenSize, intermediateSize)
  }
  norm('model.norm.weight', hiddenSize)
  if (!architecture.tiedEmbeddings) matrix('lm_head.weight', vocabSize, hiddenSize)
  return {
    architecture,
    tensors,
    weights,
    read: async (name) => {
      const values = weights.get(name)
      if (!values) throw new Error(`no tensor ${name}`)
      return values
    },
    tokenizer: letterTokenizer(),
    licence: null,
    close: async () => {},
  }
}

/** One token for each of the printable characters: enough for calibration. */
function letterTokenizer(): Checkpoint['tokenizer'] {
  const vocab: Record<string, number> = { '<unk>': 0 }
  for (let code = 33; code < 127; code++) vocab[String.fromCharCode(code)] = code - 32
  return {
    json: {
      version: '1.0',
      added_tokens: [],
      normalizer: null,
      pre_tokenizer: { type: 'Whitespace' },
      post_processor: null,
      decoder: null,
      model: { type: 'BPE', vocab, merges: [], unk_token: '<unk>' },
    },
    config: {},
    bosTokenId: null,
    endTokenIds: [0],
    chatTemplate: null,
    sampling: {},
  }
}
