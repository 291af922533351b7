// What a manifest says of a model that reads a whole text at once: what it computes, and what its numbers mean.
//
// Knows: the words and their schema. Does not know: graphs, how a checkpoint says the same (runtime/checkpoint).

import { Type } from 'typebox'

/** What a model does; `generate` is a decoder's, and what a manifest means that says nothing. */
export const ENCODER_KINDS = ['embed', 'rerank', 'classify', 'token-classify'] as const
export type EncoderKind = (typeof ENCODER_KINDS)[number]

/** roberta is xlm-roberta and camembert too; `onnx` is whatever an export by others computes */
const ENCODER_FAMILIES = ['bert', 'roberta', 'distilbert', 'onnx'] as const
export type EncoderFamily = (typeof ENCODER_FAMILIES)[number]

const POOLINGS = ['mean', 'cls', 'last', 'max'] as const
export type Pooling = (typeof POOLINGS)[number]

const ENCODER_ACTIVATIONS = ['gelu', 'gelu_tanh', 'relu'] as const

export interface EncoderArchitecture {
  family: EncoderFamily
  layers: number
  hiddenSize: number
  intermediateSize: number
  heads: number
  vocabSize: number
  /** most positions, without those that a family sets aside */
  contextLength: number
  /** kinds of segment; 0 or 1: all text is of one kind */
  segments: number
  normEpsilon: number
  activation: (typeof ENCODER_ACTIVATIONS)[number]
}

/** What the numbers that come out of the graph mean. */
export type EncoderOutput =
  | {
      kind: 'embed'
      /** null: the graph gives one vector a text */
      pooling: Pooling | null
      /** vectors are scaled to length 1 */
      isNormalised: boolean
      dimensions: number
    }
  | { kind: 'rerank' }
  | {
      kind: 'classify'
      /** in the order of the graph's logits */
      labels: string[]
      /** several labels may hold at once: each has a probability of its own */
      isMultiLabel: boolean
    }
  | { kind: 'token-classify'; labels: string[] }

/**
 * `packed` graphs are ours: a batch's tokens one behind the other, without padding. `padded` ones are exports by others:
 * input_ids, attention_mask and perhaps token_type_ids and position_ids, [batch, longest].
 */
export const ENCODER_LAYOUTS = ['packed', 'padded'] as const

export interface EncoderGraph {
  file: string
  /** weights beside the graph; null where they are in it */
  dataFile: string | null
  layout: (typeof ENCODER_LAYOUTS)[number]
  /** name of the output that is read */
  output: string
}

const Count = Type.Integer({ minimum: 1 })
const Labels = Type.Array(Type.String(), { minItems: 1 })

export const EncoderArchitectureSchema = Type.Object({
  family: Type.Enum([...ENCODER_FAMILIES]),
  layers: Count,
  hiddenSize: Count,
  intermediateSize: Count,
  heads: Count,
  vocabSize: Count,
  contextLength: Count,
  segments: Type.Integer({ minimum: 0 }),
  normEpsilon: Type.Number({ exclusiveMinimum: 0 }),
  activation: Type.Enum([...ENCODER_ACTIVATIONS]),
})

export const EncoderOutputSchema = Type.Union([
  Type.Object({
    kind: Type.Literal('embed'),
    pooling: Type.Union([Type.Null(), Type.Enum([...POOLINGS])]),
    isNormalised: Type.Boolean(),
    dimensions: Count,
  }),
  Type.Object({ kind: Type.Literal('rerank') }),
  Type.Object({ kind: Type.Literal('classify'), labels: Labels, isMultiLabel: Type.Boolean() }),
  Type.Object({ kind: Type.Literal('token-classify'), labels: Labels }),
])
