// A writer of GGUF files, for tests that need one on disk, sound or damaged.

const TYPES = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  list: 9,
  u64: 10,
  i64: 11,
  f64: 12,
} as const

type Scalar = number | bigint | boolean | string

/** A metadata value with the type to store it as; a list names its elements' type. */
export type GgufValue =
  | { type: Exclude<keyof typeof TYPES, 'list'>; value: Scalar }
  | { type: 'list'; of: Exclude<keyof typeof TYPES, 'list'>; value: readonly Scalar[] }
  | { type: 'list'; of: 'list'; value: GgufValue[] }

interface GgufTensorToWrite {
  /** row-major, as everywhere but in the file */
  shape: number[]
  /** ggml's type number; 0 is F32 */
  type?: number
  bytes: Uint8Array
  /** where the data is said to be, if not where it is */
  offset?: number
}

export interface GgufToWrite {
  metadata: Record<string, GgufValue>
  tensors: Record<string, GgufTensorToWrite>
  version?: number
  alignment?: number
  /** what the header claims, if not the truth */
  tensorCount?: number
  metadataCount?: number
}

export const u32 = (value: number): GgufValue => ({ type: 'u32', value })
export const f32 = (value: number): GgufValue => ({ type: 'f32', value })
export const bool = (value: boolean): GgufValue => ({ type: 'bool', value })
export const text = (value: string): GgufValue => ({ type: 'string', value })
export const texts = (value: readonly string[]): GgufValue => ({
  type: 'list',
  of: 'string',
  value,
})
export const i32s = (value: readonly number[]): GgufValue => ({ type: 'list', of: 'i32', value })
export const f32s = (value: readonly number[]): GgufValue => ({ type: 'list', of: 'f32', value })

export function floats(values: ArrayLike<number>): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer)
}

/** The bytes of a file. */
export function ggufBytes(file: GgufToWrite): Buffer {
  const alignment = file.alignment ?? 32
  const tensors = Object.entries(file.tensors)
  const metadata = Object.entries(file.metadata)
  const infos: Buffer[] = []
  const data: Uint8Array[] = []
  let offset = 0
  for (const [name, tensor] of tensors) {
    infos.push(
      stringBytes(name),
      number('u32', tensor.shape.length),
      ...tensor.shape.toReversed().map((size) => number('u64', size)),
      number('u32', tensor.type ?? 0),
      number('u64', tensor.offset ?? offset),
    )
    const padding = (alignment - (tensor.bytes.length % alignment)) % alignment
    data.push(tensor.bytes, Buffer.alloc(padding))
    offset += tensor.bytes.length + padding
  }
  const header = Buffer.concat([
    Buffer.from('GGUF'),
    number('u32', file.version ?? 3),
    number('u64', file.tensorCount ?? tensors.length),
    number('u64', file.metadataCount ?? metadata.length),
    ...metadata.flatMap(([key, value]) => [
      stringBytes(key),
      number('u32', TYPES[value.type]),
      payload(value),
    ]),
    ...infos,
  ])
  const padding = Buffer.alloc((alignment - (header.length % alignment)) % alignment)
  return Buffer.concat([header, padding, ...data])
}

function payload(value: GgufValue): Buffer {
  if (value.type !== 'list') return scalar(value.type, value.value)
  const count = number('u64', value.value.length)
  const head = [number('u32', TYPES[value.of]), count]
  if (value.of === 'list') return Buffer.concat([...head, ...value.value.map(payload)])
  const { of } = value
  return Buffer.concat([...head, ...value.value.map((item) => scalar(of, item))])
}

function scalar(type: Exclude<keyof typeof TYPES, 'list'>, value: Scalar): Buffer {
  if (type === 'string') return stringBytes(String(value))
  return number(type, typeof value === 'bigint' ? value : Number(value))
}

function stringBytes(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([number('u64', bytes.length), bytes])
}

function number(type: keyof typeof TYPES, value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8)
  switch (type) {
    case 'u8':
    case 'bool':
      return bytes.subarray(0, bytes.writeUInt8(Number(value)))
    case 'i8':
      return bytes.subarray(0, bytes.writeInt8(Number(value)))
    case 'u16':
      return bytes.subarray(0, bytes.writeUInt16LE(Number(value)))
    case 'i16':
      return bytes.subarray(0, bytes.writeInt16LE(Number(value)))
    case 'u32':
      return bytes.subarray(0, bytes.writeUInt32LE(Number(value)))
    case 'i32':
      return bytes.subarray(0, bytes.writeInt32LE(Number(value)))
    case 'f32':
      return bytes.subarray(0, bytes.writeFloatLE(Number(value)))
    case 'f64':
      return bytes.subarray(0, bytes.writeDoubleLE(Number(value)))
    case 'u64':
      return bytes.subarray(0, bytes.writeBigUInt64LE(BigInt(value)))
    case 'i64':
      return bytes.subarray(0, bytes.writeBigInt64LE(BigInt(value)))
    default:
      throw new Error(`${type} is not a number`)
  }
}
