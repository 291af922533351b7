// One vector out of the rows of a text's tokens.
//
// Knows: rows of numbers. Does not know: tokens, where the rows came from.

import type { EncoderOutput, Pooling } from '../../models/encoder.ts'
import type { Rows } from './runner.ts'

export type EmbedOutput = Extract<EncoderOutput, { kind: 'embed' }>

/**
 * @param tokens rows of the text
 * @param dimensions how many of the vector's numbers are wanted; what is left is scaled to length 1 again
 */
export function vectorOf(
  rows: Rows,
  text: number,
  tokens: number,
  { pooling, isNormalised }: EmbedOutput,
  dimensions: number,
): Float32Array {
  const start = rows.firstRow(text) * rows.width
  const whole = pool(rows.values, start, rows.width, tokens, pooling)
  const vector = whole.subarray(0, dimensions)
  const isCut = vector.length < whole.length
  return isNormalised || isCut ? normalised(vector) : vector
}

function pool(
  values: Float32Array,
  start: number,
  width: number,
  tokens: number,
  pooling: Pooling | null,
): Float32Array {
  const row = (token: number) => start + token * width
  switch (pooling) {
    case null:
    case 'cls':
      return values.slice(row(0), row(1))
    case 'last':
      return values.slice(row(tokens - 1), row(tokens))
    case 'max': {
      const most = values.slice(row(0), row(1))
      for (let token = 1; token < tokens; token++) {
        for (let i = 0; i < width; i++) most[i] = Math.max(most[i]!, values[row(token) + i]!)
      }
      return most
    }
    case 'mean': {
      const sums = new Float64Array(width)
      for (let at = start, token = 0; token < tokens; token++) {
        for (let i = 0; i < width; i++) sums[i]! += values[at++]!
      }
      return Float32Array.from(sums, (sum) => sum / tokens)
    }
  }
}

function normalised(vector: Float32Array): Float32Array {
  let energy = 0
  for (const value of vector) energy += value * value
  // A vector of zeros has no direction, and stays what it is.
  const scale = energy > 0 ? 1 / Math.sqrt(energy) : 0
  return vector.map((value) => value * scale)
}
