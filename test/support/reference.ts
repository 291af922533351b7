// A forward pass of the same network written down as plainly as possible, in double precision: what the graph must equal.

import type { Architecture } from '../../models/manifest.ts'
import type { Checkpoint } from '../../runtime/checkpoint/checkpoint.ts'

/** Logits of every position of `tokens`. */
export async function referenceLogits(
  checkpoint: Checkpoint,
  tokens: number[],
): Promise<Float64Array[]> {
  const { architecture: a } = checkpoint
  const weights = new Map<string, Float32Array>()
  for (const name of checkpoint.tensors.keys()) weights.set(name, await checkpoint.read(name))
  const w = (name: string) => weights.get(name)!
  const keys = Array.from({ length: a.layers }, (): Float64Array[] => [])
  const values = Array.from({ length: a.layers }, (): Float64Array[] => [])
  const result: Float64Array[] = []
  for (const [position, token] of tokens.entries()) {
    let x: Float64Array = Float64Array.from(
      w('model.embed_tokens.weight').subarray(token * a.hiddenSize, (token + 1) * a.hiddenSize),
    )
    for (let layer = 0; layer < a.layers; layer++) {
      const name = `model.layers.${layer}`
      const h = norm(x, w(`${name}.input_layernorm.weight`), a.normEpsilon)
      const project = (part: string) => {
        const y = product(w(`${name}.self_attn.${part}_proj.weight`), h)
        const bias = weights.get(`${name}.self_attn.${part}_proj.bias`)
        return bias ? y.map((value, i) => value + bias[i]!) : y
      }
      const turned = (part: 'q' | 'k') => {
        const y = project(part)
        for (let start = 0; start < y.length; start += a.headDim) {
          let head: Float64Array = y.slice(start, start + a.headDim)
          if (a.qkNorm) head = norm(head, w(`${name}.self_attn.${part}_norm.weight`), a.normEpsilon)
          y.set(rotate(head, position, a), start)
        }
        return y
      }
      keys[layer]!.push(turned('k'))
      values[layer]!.push(project('v'))
      const attended = attend(turned('q'), keys[layer]!, values[layer]!, a)
      x = sum(x, product(w(`${name}.self_attn.o_proj.weight`), attended))
      const m = norm(x, w(`${name}.post_attention_layernorm.weight`), a.normEpsilon)
      const gate = product(w(`${name}.mlp.gate_proj.weight`), m)
      const up = product(w(`${name}.mlp.up_proj.weight`), m)
      const active = gate.map((value, i) => (value / (1 + Math.exp(-value))) * up[i]!)
      x = sum(x, product(w(`${name}.mlp.down_proj.weight`), active))
    }
    const head = w(a.tiedEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight')
    result.push(product(head, norm(x, w('model.norm.weight'), a.normEpsilon)))
  }
  return result
}

function attend(q: Float64Array, keys: Float64Array[], values: Float64Array[], a: Architecture) {
  const result = new Float64Array(a.heads * a.headDim)
  const first = a.slidingWindow === null ? 0 : Math.max(0, keys.length - a.slidingWindow)
  for (let head = 0; head < a.heads; head++) {
    const shared = Math.floor(head / (a.heads / a.kvHeads)) * a.headDim
    const scores: number[] = []
    for (let position = first; position < keys.length; position++) {
      let score = 0
      for (let i = 0; i < a.headDim; i++) {
        score += q[head * a.headDim + i]! * keys[position]![shared + i]!
      }
      scores.push(score / Math.sqrt(a.headDim))
    }
    const largest = Math.max(...scores)
    const shares = scores.map((score) => Math.exp(score - largest))
    const total = shares.reduce((left, right) => left + right, 0)
    for (const [index, share] of shares.entries()) {
      for (let i = 0; i < a.headDim; i++) {
        result[head * a.headDim + i]! += (share / total) * values[first + index]![shared + i]!
      }
    }
  }
  return result
}

function rotate(head: Float64Array, position: number, a: Architecture): Float64Array {
  const result = head.slice()
  const half = a.headDim / 2
  for (let pair = 0; pair < half; pair++) {
    const angle = position * frequency(pair, a)
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)]
    result[pair] = head[pair]! * cos - head[pair + half]! * sin
    result[pair + half] = head[pair + half]! * cos + head[pair]! * sin
  }
  return result
}

function frequency(pair: number, a: Architecture): number {
  const plain = 1 / a.ropeTheta ** ((2 * pair) / a.headDim)
  const scaling = a.ropeScaling
  if (!scaling) return plain
  if (scaling.type === 'linear') return plain / scaling.factor
  const turns = (scaling.originalContextLength * plain) / (2 * Math.PI)
  if (turns > scaling.highFreqFactor) return plain
  if (turns < scaling.lowFreqFactor) return plain / scaling.factor
  const smooth = (turns - scaling.lowFreqFactor) / (scaling.highFreqFactor - scaling.lowFreqFactor)
  return ((1 - smooth) / scaling.factor + smooth) * plain
}

function norm(x: Float64Array, weight: Float32Array, epsilon: number): Float64Array {
  let squares = 0
  for (const value of x) squares += value * value
  const scale = 1 / Math.sqrt(squares / x.length + epsilon)
  return x.map((value, i) => value * scale * weight[i]!)
}

function product(matrix: Float32Array, x: Float64Array): Float64Array {
  const result = new Float64Array(matrix.length / x.length)
  for (let row = 0; row < result.length; row++) {
    let value = 0
    for (let i = 0; i < x.length; i++) value += matrix[row * x.length + i]! * x[i]!
    result[row] = value
  }
  return result
}

function sum(left: Float64Array, right: Float64Array): Float64Array {
  return left.map((value, i) => value + right[i]!)
}
