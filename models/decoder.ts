// What a manifest says of a model that continues texts: what it computes, and how its answers are drawn by default.
//
// Knows: the words and their schema. Does not know: graphs, how a checkpoint says the same (runtime/checkpoint).

import { Type } from 'typebox'

export const FAMILIES = ['llama', 'qwen2', 'qwen3', 'mistral'] as const
export type Family = (typeof FAMILIES)[number]

/**
 * Who made a graph, so to speak: our own; others' with GroupQueryAttention; others' whose cache grows with each step; none,
 * but an adapter that the base's graph takes.
 */
export const GRAPH_LAYOUTS = ['headrace', 'gqa', 'growing', 'adapter'] as const
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

/** Defaults that a model's own generation_config.json asks for; a request overrides each. */
export interface SamplingDefaults {
  temperature?: number
  topK?: number
  topP?: number
  minP?: number
  repetitionPenalty?: number
}

const Count = Type.Integer({ minimum: 1 })
// 0 where an exported graph's configuration does not say.
const CountOrUnknown = Type.Integer({ minimum: 0 })
const nullable = <T extends Type.TSchema>(schema: T) => Type.Union([Type.Null(), schema])

export const ArchitectureSchema = Type.Object({
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

export const SamplingSchema = Type.Object({
  temperature: Type.Optional(Type.Number()),
  topK: Type.Optional(Type.Number()),
  topP: Type.Optional(Type.Number()),
  minP: Type.Optional(Type.Number()),
  repetitionPenalty: Type.Optional(Type.Number()),
})
