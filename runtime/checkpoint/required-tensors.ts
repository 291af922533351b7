// Which tensors a model of a given architecture is made of, and whether a checkpoint holds exactly
// those.
//
// Checked before anything is converted: a checkpoint that lacks a tensor would fail after minutes,
// and one that has a tensor that we would not use (a bias, an expert) would give wrong answers
// without failing at all.

import type { Architecture } from '../../models/manifest.ts'
import { CheckpointError } from './checkpoint.ts'
import type { TensorInfo } from './checkpoint.ts'

/** What the check needs to know of a tensor that is there. */
export interface FoundTensor extends TensorInfo {
  type: string
  isReadable: boolean
}

// Enough to see the pattern; a checkpoint of the wrong kind lacks hundreds.
const MOST_NAMED = 8

/** Tables that some checkpoints carry and that follow from the configuration. */
const REDUNDANT = /(^|\.)rotary_emb\.inv_freq$/

/** Every tensor of a model, by Hugging Face's names and layouts: [out, in] of a linear layer. */
export function requiredTensors(architecture: Architecture): TensorInfo[] {
  const { hiddenSize, vocabSize, layers, tiedEmbeddings } = architecture
  const tensors: TensorInfo[] = [
    { name: 'model.embed_tokens.weight', shape: [vocabSize, hiddenSize] },
  ]
  for (let layer = 0; layer < layers; layer++) tensors.push(...layerTensors(architecture, layer))
  tensors.push({ name: 'model.norm.weight', shape: [hiddenSize] })
  if (!tiedEmbeddings) tensors.push({ name: 'lm_head.weight', shape: [vocabSize, hiddenSize] })
  return tensors
}

function layerTensors(architecture: Architecture, layer: number): TensorInfo[] {
  const { hiddenSize, intermediateSize, heads, kvHeads, headDim, qkvBias, qkNorm } = architecture
  const queries = heads * headDim
  const keys = kvHeads * headDim
  const shapes: [string, number[]][] = [
    ['input_layernorm.weight', [hiddenSize]],
    ['self_attn.q_proj.weight', [queries, hiddenSize]],
    ['self_attn.k_proj.weight', [keys, hiddenSize]],
    ['self_attn.v_proj.weight', [keys, hiddenSize]],
    ['self_attn.o_proj.weight', [hiddenSize, queries]],
    ['post_attention_layernorm.weight', [hiddenSize]],
    ['mlp.gate_proj.weight', [intermediateSize, hiddenSize]],
    ['mlp.up_proj.weight', [intermediateSize, hiddenSize]],
    ['mlp.down_proj.weight', [hiddenSize, intermediateSize]],
  ]
  if (qkvBias) {
    shapes.push(['self_attn.q_proj.bias', [queries]])
    shapes.push(['self_attn.k_proj.bias', [keys]])
    shapes.push(['self_attn.v_proj.bias', [keys]])
  }
  if (qkNorm) {
    shapes.push(['self_attn.q_norm.weight', [headDim]])
    shapes.push(['self_attn.k_norm.weight', [headDim]])
  }
  return shapes.map(([name, shape]) => ({ name: `model.layers.${layer}.${name}`, shape }))
}

/**
 * @param where names the checkpoint in errors
 * @throws CheckpointError naming what is missing, misshapen, unreadable or not of this architecture
 */
export function checkTensors(
  architecture: Architecture,
  found: Map<string, FoundTensor>,
  supportedTypes: readonly string[],
  where: string,
): void {
  const required = requiredTensors(architecture)
  const missing: string[] = []
  const misshapen: string[] = []
  const unreadable: string[] = []
  for (const { name, shape } of required) {
    const tensor = found.get(name)
    if (tensor === undefined) missing.push(name)
    else if (!isSameShape(tensor.shape, shape)) {
      misshapen.push(`${name} is [${tensor.shape.join(', ')}] instead of [${shape.join(', ')}]`)
    } else if (!tensor.isReadable) unreadable.push(`${name} is ${tensor.type}`)
  }
  const names = new Set(required.map(({ name }) => name))
  const surplus = [...found.keys()].filter(
    (name) =>
      !names.has(name) &&
      !REDUNDANT.test(name) &&
      // Tied checkpoints often store the head a second time.
      !(architecture.tiedEmbeddings && name === 'lm_head.weight'),
  )

  const problems: string[] = []
  if (missing.length > 0) problems.push(`missing: ${list(missing)}`)
  if (misshapen.length > 0)
    problems.push(`of another shape than its configuration says: ${list(misshapen)}`)
  if (unreadable.length > 0) {
    problems.push(
      `of an unsupported type: ${list(unreadable)} (supported are ${supportedTypes.join(', ')})`,
    )
  }
  if (surplus.length > 0) {
    problems.push(`not part of a ${architecture.family} model: ${list(surplus)}`)
  }
  if (problems.length > 0) {
    throw new CheckpointError(
      `The tensors of ${where} do not make a model of the ${architecture.family} family; ${problems.join('; ')}`,
    )
  }
}

function isSameShape(a: number[], b: number[]): boolean {
  return a.length === b.length && a.every((size, index) => size === b[index])
}

function list(items: string[]): string {
  const shown = items.slice(0, MOST_NAMED).join(', ')
  return items.length > MOST_NAMED ? `${shown} and ${items.length - MOST_NAMED} more` : shown
}
