// A forward pass of an encoder written down as plainly as possible, in double precision: what the graph must equal.

import type { EncodedText } from '../../runtime/encoder/runner.ts'
import type { MemoryEncoder } from './random-encoder.ts'

/** Hidden states of one text's tokens. */
export function referenceHidden(checkpoint: MemoryEncoder, text: EncodedText): Float64Array[] {
  const { architecture: a, weights } = checkpoint
  const w = (name: string) => weights.get(name)!
  const row = (name: string, index: number) =>
    w(`embeddings.${name}.weight`).subarray(index * a.hiddenSize, (index + 1) * a.hiddenSize)
  const positions = w('embeddings.position_embeddings.weight').length / a.hiddenSize
  const layer = (name: string, x: Float64Array) =>
    product(w(`${name}.weight`), x).map((value, i) => value + w(`${name}.bias`)[i]!)
  const norm = (name: string, x: Float64Array) =>
    normed(x, w(`${name}.weight`), w(`${name}.bias`), a.normEpsilon)
  let stream = Array.from(text.ids, (id, index) => {
    const word = row('word_embeddings', id)
    const place = row('position_embeddings', positions - a.contextLength + index)
    const segment =
      a.segments > 0 ? row('token_type_embeddings', text.segments?.[index] ?? 0) : null
    const sum = Float64Array.from(word, (value, i) => value + place[i]! + (segment?.[i] ?? 0))
    return norm('embeddings.LayerNorm', sum)
  })
  for (let index = 0; index < a.layers; index++) {
    const name = `encoder.layer.${index}`
    const [q, k, v] = ['query', 'key', 'value'].map((part) =>
      stream.map((x) => layer(`${name}.attention.self.${part}`, x)),
    )
    stream = stream.map((x, i) => {
      const attended = attend(q![i]!, k!, v!, a.heads)
      const middle = norm(
        `${name}.attention.output.LayerNorm`,
        sum(x, layer(`${name}.attention.output.dense`, attended)),
      )
      const wide = layer(`${name}.intermediate.dense`, middle).map(ACTIVATIONS[a.activation])
      return norm(`${name}.output.LayerNorm`, sum(middle, layer(`${name}.output.dense`, wide)))
    })
  }
  return stream
}

/** Logits of one text: one row, or one for each token. */
export function referenceLogits(checkpoint: MemoryEncoder, text: EncodedText): Float64Array[] {
  const { head, weights } = checkpoint
  if (!head) throw new Error('no head')
  const hidden = referenceHidden(checkpoint, text)
  const layer = (name: string, x: Float64Array) =>
    product(weights.get(`${name}.weight`)!, x).map(
      (value, i) => value + weights.get(`${name}.bias`)![i]!,
    )
  return (head.reads === 'first' ? hidden.slice(0, 1) : hidden).map((x) => {
    if (head.dense === null) return layer('head.out', x)
    const dense = layer('head.dense', x)
    const active = head.dense === 'Tanh' ? Math.tanh : (value: number) => Math.max(0, value)
    return layer('head.out', dense.map(active))
  })
}

const ACTIVATIONS = {
  gelu: (x: number) => (x / 2) * (1 + erf(x / Math.SQRT2)),
  gelu_tanh: (x: number) =>
    (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  relu: (x: number) => Math.max(0, x),
}

/** By its series, which converges everywhere; exact to double precision at the sizes that occur. */
function erf(x: number): number {
  if (Math.abs(x) > 5) return Math.sign(x)
  let term = x
  let sum = x
  for (let n = 1; n < 120; n++) {
    term *= (-x * x) / n
    sum += term / (2 * n + 1)
  }
  return (2 / Math.sqrt(Math.PI)) * sum
}

function attend(q: Float64Array, keys: Float64Array[], values: Float64Array[], heads: number) {
  const size = q.length / heads
  const result = new Float64Array(q.length)
  for (let start = 0; start < q.length; start += size) {
    const scores = keys.map((k) => {
      let dot = 0
      for (let i = start; i < start + size; i++) dot += q[i]! * k[i]!
      return dot / Math.sqrt(size)
    })
    const largest = Math.max(...scores)
    const shares = scores.map((score) => Math.exp(score - largest))
    const total = shares.reduce((all, share) => all + share, 0)
    for (const [key, share] of shares.entries()) {
      for (let i = start; i < start + size; i++) result[i]! += (share / total) * values[key]![i]!
    }
  }
  return result
}

function product(matrix: Float32Array, x: Float64Array): Float64Array {
  const result = new Float64Array(matrix.length / x.length)
  for (let row = 0; row < result.length; row++) {
    for (let i = 0; i < x.length; i++) result[row]! += matrix[row * x.length + i]! * x[i]!
  }
  return result
}

const sum = (a: Float64Array, b: Float64Array) => a.map((value, i) => value + b[i]!)

function normed(x: Float64Array, weight: Float32Array, bias: Float32Array, epsilon: number) {
  const mean = x.reduce((all, value) => all + value, 0) / x.length
  const variance = x.reduce((all, value) => all + (value - mean) ** 2, 0) / x.length
  return x.map(
    (value, i) => ((value - mean) / Math.sqrt(variance + epsilon)) * weight[i]! + bias[i]!,
  )
}
