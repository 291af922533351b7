// An encoder's checkpoint in memory with random weights: what the graph builder takes, without files.

import type { EncoderArchitecture, EncoderOutput } from '../../models/encoder.ts'
import type { TensorInfo } from '../../runtime/checkpoint/checkpoint.ts'
import type { EncoderCheckpoint, EncoderHead } from '../../runtime/checkpoint/encoder-checkpoint.ts'
import { randomSource } from './random-checkpoint.ts'
import { wordPieceTokenizer } from './word-pieces.ts'

export const TINY_ENCODER: EncoderArchitecture = {
  family: 'bert',
  layers: 2,
  hiddenSize: 64,
  intermediateSize: 128,
  heads: 4,
  vocabSize: 200,
  contextLength: 64,
  segments: 2,
  normEpsilon: 1e-12,
  activation: 'gelu',
}

export interface MemoryEncoder extends EncoderCheckpoint {
  weights: Map<string, Float32Array>
}

interface RandomEncoder {
  architecture?: Partial<EncoderArchitecture>
  head?: EncoderHead | null
  output?: EncoderOutput
  seed?: number
  /** position rows that the family sets aside */
  setAside?: number
}

export function randomEncoder(options: RandomEncoder = {}): MemoryEncoder {
  const { head = null, seed = 1, setAside = 0 } = options
  const architecture = { ...TINY_ENCODER, ...options.architecture }
  const { hiddenSize, intermediateSize, layers, vocabSize, contextLength, segments } = architecture
  const random = randomSource(seed)
  const weights = new Map<string, Float32Array>()
  const tensors = new Map<string, TensorInfo>()
  const add = (name: string, shape: number[], value: () => number) => {
    const length = shape.reduce((product, extent) => product * extent, 1)
    weights.set(name, Float32Array.from({ length }, value))
    tensors.set(name, { name, shape })
  }
  const table = (name: string, rows: number) =>
    add(`embeddings.${name}.weight`, [rows, hiddenSize], random)
  const layer = (name: string, out: number, from: number) => {
    const spread = Math.sqrt(3 / from)
    add(`${name}.weight`, [out, from], () => random() * spread)
    add(`${name}.bias`, [out], () => 0.3 * random())
  }
  const norm = (name: string) => {
    add(`${name}.weight`, [hiddenSize], () => 1 + 0.2 * random())
    add(`${name}.bias`, [hiddenSize], () => 0.2 * random())
  }
  table('word_embeddings', vocabSize)
  table('position_embeddings', contextLength + setAside)
  if (segments > 0) table('token_type_embeddings', segments)
  norm('embeddings.LayerNorm')
  for (let index = 0; index < layers; index++) {
    const name = `encoder.layer.${index}`
    for (const part of ['query', 'key', 'value']) {
      layer(`${name}.attention.self.${part}`, hiddenSize, hiddenSize)
    }
    layer(`${name}.attention.output.dense`, hiddenSize, hiddenSize)
    norm(`${name}.attention.output.LayerNorm`)
    layer(`${name}.intermediate.dense`, intermediateSize, hiddenSize)
    layer(`${name}.output.dense`, hiddenSize, intermediateSize)
    norm(`${name}.output.LayerNorm`)
  }
  if (head?.dense) layer('head.dense', hiddenSize, hiddenSize)
  if (head) layer('head.out', head.labels, hiddenSize)
  return {
    architecture,
    head,
    output: options.output ?? {
      kind: 'embed',
      pooling: 'mean',
      isNormalised: true,
      dimensions: hiddenSize,
    },
    contextLength,
    tensors,
    weights,
    read: async (name) => {
      const values = weights.get(name)
      if (!values) throw new Error(`no tensor ${name}`)
      return values.slice()
    },
    tokenizer: wordPieceTokenizer(),
    licence: null,
    close: async () => {},
  }
}
