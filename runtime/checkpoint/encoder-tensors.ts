// What each family calls the tensors of an encoder, and which shapes they have.
//
// The words in front (`bert.`, `roberta.`) are there where a head stands on the model and not where it is alone; the oldest
// files call a norm's weight and bias gamma and beta.
//
// Knows: names and shapes. Does not know: files.

import type { EncoderArchitecture } from '../../models/encoder.ts'
import type { TensorInfo } from './checkpoint.ts'
import { CheckpointError } from './checkpoint.ts'
import type { EncoderHead } from './encoder-checkpoint.ts'
import type { TensorSource } from './tensor-source.ts'

const DISTILBERT_LAYER: [bert: string, distilbert: string][] = [
  ['attention.self.query', 'attention.q_lin'],
  ['attention.self.key', 'attention.k_lin'],
  ['attention.self.value', 'attention.v_lin'],
  ['attention.output.dense', 'attention.out_lin'],
  ['attention.output.LayerNorm', 'sa_layer_norm'],
  ['intermediate.dense', 'ffn.lin1'],
  ['output.dense', 'ffn.lin2'],
  ['output.LayerNorm', 'output_layer_norm'],
]

const HEADS = {
  bert: { dense: 'pooler.dense', out: 'classifier' },
  roberta: { dense: 'classifier.dense', out: 'classifier.out_proj' },
  distilbert: { dense: 'pre_classifier', out: 'classifier' },
}

// Enough names to see what is the matter.
const MOST_NAMED = 5

export interface FoundTensors {
  tensors: Map<string, TensorInfo>
  /** our name → the source's */
  names: Map<string, string>
}

/** @throws CheckpointError naming the tensors that are missing, of another shape or of a type that can't be read */
export function findTensors(
  architecture: EncoderArchitecture,
  head: EncoderHead | null,
  source: TensorSource,
  where: string,
): FoundTensors {
  const found: FoundTensors = { tensors: new Map(), names: new Map() }
  const problems: string[] = []
  for (const { name, shape } of requiredTensors(architecture, head)) {
    const candidates = storedNames(name, architecture, head)
    const stored = candidates.map((candidate) => source.tensors.get(candidate)).find(Boolean)
    if (stored === undefined) {
      problems.push(`${candidates[0]} is missing`)
    } else if (stored.shape.join() !== shape.join()) {
      problems.push(`${stored.name} is [${stored.shape.join(', ')}], not [${shape.join(', ')}]`)
    } else if (!source.supportedTypes.includes(stored.type)) {
      problems.push(
        `${stored.name} is ${stored.type}, supported are ${source.supportedTypes.join(', ')}`,
      )
    } else {
      found.tensors.set(name, { name, shape })
      found.names.set(name, stored.name)
    }
  }
  if (problems.length === 0) return found
  const shown = problems.slice(0, MOST_NAMED).join('; ')
  const more = problems.length > MOST_NAMED ? `; and ${problems.length - MOST_NAMED} more` : ''
  throw new CheckpointError(
    `The tensors of ${where} do not make a model of the ${architecture.family} family: ${shown}${more}`,
  )
}

function requiredTensors(a: EncoderArchitecture, head: EncoderHead | null): TensorInfo[] {
  const tensors: TensorInfo[] = []
  const add = (name: string, ...shape: number[]) => tensors.push({ name, shape })
  const layer = (name: string, out: number, from: number) => {
    add(`${name}.weight`, out, from)
    add(`${name}.bias`, out)
  }
  const norm = (name: string) => {
    add(`${name}.weight`, a.hiddenSize)
    add(`${name}.bias`, a.hiddenSize)
  }
  add('embeddings.word_embeddings.weight', a.vocabSize, a.hiddenSize)
  add('embeddings.position_embeddings.weight', positionsOf(a), a.hiddenSize)
  if (a.segments > 0) add('embeddings.token_type_embeddings.weight', a.segments, a.hiddenSize)
  norm('embeddings.LayerNorm')
  for (let index = 0; index < a.layers; index++) {
    const name = `encoder.layer.${index}`
    for (const part of ['query', 'key', 'value']) {
      layer(`${name}.attention.self.${part}`, a.hiddenSize, a.hiddenSize)
    }
    layer(`${name}.attention.output.dense`, a.hiddenSize, a.hiddenSize)
    norm(`${name}.attention.output.LayerNorm`)
    layer(`${name}.intermediate.dense`, a.intermediateSize, a.hiddenSize)
    layer(`${name}.output.dense`, a.hiddenSize, a.intermediateSize)
    norm(`${name}.output.LayerNorm`)
  }
  if (head?.dense) layer('head.dense', a.hiddenSize, a.hiddenSize)
  if (head) layer('head.out', head.labels, a.hiddenSize)
  return tensors
}

/** RoBERTa's table has rows before the first position. */
function positionsOf({ family, contextLength }: EncoderArchitecture): number {
  return family === 'roberta' ? contextLength + 2 : contextLength
}

/** What a tensor may be called in a file, the usual name first. */
function storedNames(
  name: string,
  { family }: EncoderArchitecture,
  head: EncoderHead | null,
): string[] {
  const own = ownName(name, family === 'onnx' ? 'bert' : family, head)
  const old = own
    .replace(/LayerNorm\.weight$/, 'LayerNorm.gamma')
    .replace(/LayerNorm\.bias$/, 'LayerNorm.beta')
  return [...new Set([own, `${family}.${own}`, old, `${family}.${old}`])]
}

function ownName(name: string, family: keyof typeof HEADS, head: EncoderHead | null): string {
  const [, part, kind] = /^head\.(dense|out)\.(weight|bias)$/.exec(name) ?? []
  if (part !== undefined) {
    // A head over tokens is one layer in every family.
    const own = head?.reads === 'each' ? 'classifier' : HEADS[family][part as 'dense' | 'out']
    return `${own}.${kind}`
  }
  if (family !== 'distilbert') return name
  const [, layer, rest = ''] = /^encoder\.layer\.(\d+)\.(.*)$/.exec(name) ?? []
  if (layer === undefined) return name
  for (const [bert, distilbert] of DISTILBERT_LAYER) {
    if (rest.startsWith(`${bert}.`)) {
      return `transformer.layer.${layer}.${distilbert}${rest.slice(bert.length)}`
    }
  }
  throw new Error(`distilbert has no ${name}. This is a bug.`)
}
