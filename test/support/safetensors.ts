// A writer of safetensors files, for tests that need one on disk, sound or damaged.

import { writeFile } from 'node:fs/promises'

export interface TensorToWrite {
  shape: number[]
  /** stored as F32 where the bytes are not given with a dtype */
  values: Float32Array | { dtype: string; bytes: Uint8Array }
}

/** The bytes of a file; `change` may damage the header before it is written. */
export function safetensorsBytes(
  tensors: Record<string, TensorToWrite>,
  change: (header: Record<string, unknown>) => void = () => {},
): Buffer {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } }
  const pieces: Uint8Array[] = []
  let offset = 0
  for (const [name, { shape, values }] of Object.entries(tensors)) {
    const { dtype, bytes } =
      values instanceof Float32Array
        ? {
            dtype: 'F32',
            bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
          }
        : values
    header[name] = { dtype, shape, data_offsets: [offset, offset + bytes.length] }
    pieces.push(bytes)
    offset += bytes.length
  }
  change(header)
  const json = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(json.length))
  return Buffer.concat([length, json, ...pieces])
}

export async function writeSafetensors(
  path: string,
  tensors: Record<string, TensorToWrite>,
): Promise<void> {
  await writeFile(path, safetensorsBytes(tensors))
}

/** Sixteen-bit patterns as the bytes of an F16 or BF16 tensor. */
export function halfBytes(bits: number[]): Uint8Array {
  return new Uint8Array(Uint16Array.from(bits).buffer)
}
