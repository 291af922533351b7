// Writes a safetensors file of float32 tensors (format: safetensors-header.ts), one tensor after the other, so that only one
// of them has to be in memory.
//
// Knows: the format. Does not know: what the tensors are.

import { open } from 'node:fs/promises'

export interface TensorShape {
  name: string
  shape: number[]
}

/** @param read gives a tensor's values; asked for in the order of `tensors` */
export async function writeSafetensors(
  path: string,
  tensors: TensorShape[],
  read: (name: string) => Float32Array | Promise<Float32Array>,
): Promise<void> {
  let end = 0
  const entries = tensors.map(({ name, shape }) => {
    const begin = end
    end += shape.reduce((product, extent) => product * extent, 4)
    return [name, { dtype: 'F32', shape, data_offsets: [begin, end] }] as const
  })
  const text = Buffer.from(JSON.stringify(Object.fromEntries(entries)))
  // The data begins at a multiple of eight, as the reference implementation has it.
  const header = Buffer.concat([text, Buffer.alloc((8 - (text.length % 8)) % 8, ' ')])
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  await using handle = await open(path, 'wx')
  await handle.writeFile(Buffer.concat([length, header]))
  for (const { name } of tensors) {
    const values = await read(name)
    await handle.writeFile(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
  }
  await handle.sync()
}
