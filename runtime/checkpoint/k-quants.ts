// ggml's K quantisations: super-blocks of 256 weights whose sub-blocks have scales that are
// quantised themselves.
//
// Layouts are those of `block_q4_K`, `block_q5_K` and `block_q6_K` in ggml's ggml-common.h; d and
// dmin are half-precision.
//
//   Q4_K  d, dmin, scales[12], qs[128]           eight sub-blocks of 32:   d · scale · q − dmin · min
//   Q5_K  d, dmin, scales[12], qh[32], qs[128]   the same, bit s of qh[l] the fifth of weight l of block s
//   Q6_K  ql[128], qh[64], int8 scales[16], d    sixteen sub-blocks of 16: d · scale · (q − 32)

import { uint16 } from './block-quants.ts'
import type { Unpack } from './block-quants.ts'

const SUPER_BLOCK = 256
const SUB_BLOCKS = 8

export const unpackQ4_K: Unpack = (source, halves, target) => {
  const scales = new Float64Array(SUB_BLOCKS)
  const mins = new Float64Array(SUB_BLOCKS)
  for (let at = 0, block = 0; block < target.length; at += 144, block += SUPER_BLOCK) {
    unpackScales(source, at, halves, scales, mins)
    // Sub-blocks 2p and 2p + 1 share 32 bytes: the low nibbles are the one, the high nibbles the
    // other.
    for (let pair = 0; pair < 4; pair++) {
      const low = scales[2 * pair]!
      const lowMin = mins[2 * pair]!
      const high = scales[2 * pair + 1]!
      const highMin = mins[2 * pair + 1]!
      const from = at + 16 + 32 * pair
      const out = block + 64 * pair
      for (let l = 0; l < 32; l++) {
        const byte = source[from + l]!
        target[out + l] = low * (byte & 15) - lowMin
        target[out + l + 32] = high * (byte >> 4) - highMin
      }
    }
  }
}

export const unpackQ5_K: Unpack = (source, halves, target) => {
  const scales = new Float64Array(SUB_BLOCKS)
  const mins = new Float64Array(SUB_BLOCKS)
  for (let at = 0, block = 0; block < target.length; at += 176, block += SUPER_BLOCK) {
    unpackScales(source, at, halves, scales, mins)
    for (let pair = 0; pair < 4; pair++) {
      const low = scales[2 * pair]!
      const lowMin = mins[2 * pair]!
      const high = scales[2 * pair + 1]!
      const highMin = mins[2 * pair + 1]!
      const from = at + 48 + 32 * pair
      const out = block + 64 * pair
      for (let l = 0; l < 32; l++) {
        const byte = source[from + l]!
        const fifths = source[at + 16 + l]! >> (2 * pair)
        target[out + l] = low * ((byte & 15) | ((fifths & 1) << 4)) - lowMin
        target[out + l + 32] = high * ((byte >> 4) | ((fifths & 2) << 3)) - highMin
      }
    }
  }
}

export const unpackQ6_K: Unpack = (source, halves, target) => {
  const signed = new Int8Array(source.buffer, source.byteOffset, source.length)
  for (let at = 0, block = 0; block < target.length; at += 210, block += SUPER_BLOCK) {
    const scale = halves[uint16(source, at + 208)]!
    // Each half of 128 weights is four rows of 32: rows 0 and 2 share the bytes of `low`, so do 1
    // and 3, and all four share those of `high`, two bits each.
    for (let half = 0; half < 2; half++) {
      const low = at + 64 * half
      const high = at + 128 + 32 * half
      const out = block + 128 * half
      for (let l = 0; l < 32; l++) {
        const sub = at + 192 + 8 * half + (l >> 4)
        const even = source[low + l]!
        const odd = source[low + l + 32]!
        const tops = source[high + l]!
        target[out + l] = scale * signed[sub]! * (((even & 15) | ((tops & 3) << 4)) - 32)
        target[out + l + 32] =
          scale * signed[sub + 2]! * (((odd & 15) | (((tops >> 2) & 3) << 4)) - 32)
        target[out + l + 64] =
          scale * signed[sub + 4]! * (((even >> 4) | (((tops >> 4) & 3) << 4)) - 32)
        target[out + l + 96] = scale * signed[sub + 6]! * (((odd >> 4) | ((tops >> 6) << 4)) - 32)
      }
    }
  }
}

/**
 * The six-bit scales and minima of eight sub-blocks, packed into twelve bytes: the first four of
 * each are the low six bits of bytes 0–3 and 4–7; of the last four, the low nibbles are in bytes
 * 8–11 and the upper two bits on top of bytes 0–7.
 */
function unpackScales(
  source: Uint8Array,
  at: number,
  halves: Float32Array,
  scales: Float64Array,
  mins: Float64Array,
): void {
  const d = halves[uint16(source, at)]!
  const dmin = halves[uint16(source, at + 2)]!
  for (let s = 0; s < 4; s++) {
    const first = source[at + 4 + s]!
    const second = source[at + 8 + s]!
    const third = source[at + 12 + s]!
    scales[s] = d * (first & 63)
    mins[s] = dmin * (second & 63)
    scales[s + 4] = d * ((third & 15) | ((first >> 6) << 4))
    mins[s + 4] = dmin * ((third >> 4) | ((second >> 6) << 4))
  }
}
