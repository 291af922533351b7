// The element types of GGUF tensors, and how each becomes float32.
//
// Numbers, names and block sizes are those of `enum ggml_type` and `ggml_type_traits` in ggml's
// ggml.h and ggml.c.
// Adding a type: write its Unpack, give it a line in READABLE_TYPES and a fixture.
//
// Knows: bytes of one tensor. Does not know: files, names.

import { unpackQ4_0, unpackQ4_1, unpackQ5_0, unpackQ5_1, unpackQ8_0 } from './block-quants.ts'
import type { Unpack } from './block-quants.ts'
import { unpackQ4_K, unpackQ5_K, unpackQ6_K } from './k-quants.ts'
import { widenBfloat, widenHalf } from './narrow-floats.ts'

/** `unpack` is absent where one element is one number and the whole tensor is widened at once */
interface ReadableType {
  blockValues: number
  blockBytes: number
  unpack?: Unpack
}

const READABLE_TYPES = {
  F32: { blockValues: 1, blockBytes: 4 },
  F16: { blockValues: 1, blockBytes: 2 },
  BF16: { blockValues: 1, blockBytes: 2 },
  Q8_0: { blockValues: 32, blockBytes: 34, unpack: unpackQ8_0 },
  Q4_0: { blockValues: 32, blockBytes: 18, unpack: unpackQ4_0 },
  Q4_1: { blockValues: 32, blockBytes: 20, unpack: unpackQ4_1 },
  Q5_0: { blockValues: 32, blockBytes: 22, unpack: unpackQ5_0 },
  Q5_1: { blockValues: 32, blockBytes: 24, unpack: unpackQ5_1 },
  Q4_K: { blockValues: 256, blockBytes: 144, unpack: unpackQ4_K },
  Q5_K: { blockValues: 256, blockBytes: 176, unpack: unpackQ5_K },
  Q6_K: { blockValues: 256, blockBytes: 210, unpack: unpackQ6_K },
} satisfies Record<string, ReadableType>

export type TensorType = keyof typeof READABLE_TYPES

export const TENSOR_TYPES = Object.keys(READABLE_TYPES) as readonly TensorType[]

/**
 * Names of ggml's type numbers, also of those that can't be read, so that an error can say which
 * one it is.
 */
const TYPE_NAMES: Record<number, string> = {
  0: 'F32',
  1: 'F16',
  2: 'Q4_0',
  3: 'Q4_1',
  6: 'Q5_0',
  7: 'Q5_1',
  8: 'Q8_0',
  9: 'Q8_1',
  10: 'Q2_K',
  11: 'Q3_K',
  12: 'Q4_K',
  13: 'Q5_K',
  14: 'Q6_K',
  15: 'Q8_K',
  16: 'IQ2_XXS',
  17: 'IQ2_XS',
  18: 'IQ3_XXS',
  19: 'IQ1_S',
  20: 'IQ4_NL',
  21: 'IQ3_S',
  22: 'IQ2_S',
  23: 'IQ4_XS',
  24: 'I8',
  25: 'I16',
  26: 'I32',
  27: 'I64',
  28: 'F64',
  29: 'IQ1_M',
  30: 'BF16',
  34: 'TQ1_0',
  35: 'TQ2_0',
  39: 'MXFP4',
  40: 'NVFP4',
}

export function tensorTypeName(number: number): string {
  return TYPE_NAMES[number] ?? `type ${number}`
}

export function isReadable(type: string): type is TensorType {
  return Object.hasOwn(READABLE_TYPES, type)
}

/**
 * How many elements share a block, and its bytes; a row of a tensor is a whole number of blocks.
 */
export function blockOf(type: TensorType): { blockValues: number; blockBytes: number } {
  return READABLE_TYPES[type]
}

/**
 * The elements of a tensor as float32, equal to what ggml's own reference conversion gives.
 * @param bytes exactly the tensor's bytes, at the start of their buffer
 * @param halves the table that `halfValues()` makes
 */
export function dequantise(
  type: TensorType,
  bytes: ArrayBuffer,
  halves: Float32Array,
): Float32Array {
  if (type === 'F32') return new Float32Array(bytes)
  if (type === 'F16') return widenHalf(new Uint16Array(bytes), halves)
  if (type === 'BF16') return widenBfloat(new Uint16Array(bytes))
  const { blockValues, blockBytes, unpack } = READABLE_TYPES[type]
  const target = new Float32Array((bytes.byteLength / blockBytes) * blockValues)
  unpack(new Uint8Array(bytes), halves, target)
  return target
}
