// ggml's simple quantisations: blocks of 32 weights with one scale, some with an offset, and four,
// five or eight bits each.
//
// Layouts are those of `block_q4_0` to `block_q8_0` in ggml's ggml-common.h; d and m are
// half-precision floats. In the four- and five-bit ones byte j of `qs` holds weight j in its low
// and weight j + 16 in its high nibble; the fifth bits are a little-endian 32-bit number, bit j for
// weight j.
//
//   Q4_0  d, qs[16]          d · (q − 8)
//   Q4_1  d, m, qs[16]       d · q + m
//   Q5_0  d, qh[4], qs[16]   d · (q − 16)
//   Q5_1  d, m, qh[4], qs[16]  d · q + m
//   Q8_0  d, int8 qs[32]     d · q

const BLOCK = 32
const HALF_BLOCK = 16

/**
 * Turns whole blocks into floats, as many as `target` has room for; `halves` is the table of
 * half-precision values.
 */
export type Unpack = (source: Uint8Array, halves: Float32Array, target: Float32Array) => void

export const unpackQ4_0: Unpack = (source, halves, target) => {
  for (let at = 0, out = 0; out < target.length; at += 18, out += BLOCK) {
    const scale = halves[uint16(source, at)]!
    for (let j = 0; j < HALF_BLOCK; j++) {
      const pair = source[at + 2 + j]!
      target[out + j] = scale * ((pair & 15) - 8)
      target[out + j + HALF_BLOCK] = scale * ((pair >> 4) - 8)
    }
  }
}

export const unpackQ4_1: Unpack = (source, halves, target) => {
  for (let at = 0, out = 0; out < target.length; at += 20, out += BLOCK) {
    const scale = halves[uint16(source, at)]!
    const offset = halves[uint16(source, at + 2)]!
    for (let j = 0; j < HALF_BLOCK; j++) {
      const pair = source[at + 4 + j]!
      target[out + j] = scale * (pair & 15) + offset
      target[out + j + HALF_BLOCK] = scale * (pair >> 4) + offset
    }
  }
}

export const unpackQ5_0: Unpack = (source, halves, target) => {
  for (let at = 0, out = 0; out < target.length; at += 22, out += BLOCK) {
    const scale = halves[uint16(source, at)]!
    const fifths = uint16(source, at + 2) | (uint16(source, at + 4) << 16)
    for (let j = 0; j < HALF_BLOCK; j++) {
      const pair = source[at + 6 + j]!
      target[out + j] = scale * (((pair & 15) | (((fifths >> j) & 1) << 4)) - 16)
      target[out + j + HALF_BLOCK] =
        scale * (((pair >> 4) | (((fifths >> (j + HALF_BLOCK)) & 1) << 4)) - 16)
    }
  }
}

export const unpackQ5_1: Unpack = (source, halves, target) => {
  for (let at = 0, out = 0; out < target.length; at += 24, out += BLOCK) {
    const scale = halves[uint16(source, at)]!
    const offset = halves[uint16(source, at + 2)]!
    const fifths = uint16(source, at + 4) | (uint16(source, at + 6) << 16)
    for (let j = 0; j < HALF_BLOCK; j++) {
      const pair = source[at + 8 + j]!
      target[out + j] = scale * ((pair & 15) | (((fifths >> j) & 1) << 4)) + offset
      target[out + j + HALF_BLOCK] =
        scale * ((pair >> 4) | (((fifths >> (j + HALF_BLOCK)) & 1) << 4)) + offset
    }
  }
}

export const unpackQ8_0: Unpack = (source, halves, target) => {
  const signed = new Int8Array(source.buffer, source.byteOffset, source.length)
  for (let at = 0, out = 0; out < target.length; at += 34, out += BLOCK) {
    const scale = halves[uint16(source, at)]!
    for (let j = 0; j < BLOCK; j++) target[out + j] = scale * signed[at + 2 + j]!
  }
}

/** Blocks have odd sizes, so that no view of a wider type fits over all of them. */
export function uint16(source: Uint8Array, at: number): number {
  return source[at]! | (source[at + 1]! << 8)
}
