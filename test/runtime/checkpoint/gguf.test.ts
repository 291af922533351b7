// The GGUF container: every type of value, the tensors, and files that are damaged.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { CheckpointError } from '../../../runtime/checkpoint/checkpoint.ts'
import { openGguf } from '../../../runtime/checkpoint/gguf.ts'
import { makeFolder } from '../../support/folder.ts'
import { floats, ggufBytes, i32s, text, texts, u32 } from '../../support/gguf.ts'
import type { GgufToWrite } from '../../support/gguf.ts'

const SMALL: GgufToWrite = {
  metadata: {
    'general.architecture': text('llama'),
    names: texts(['a', 'bc']),
    ids: i32s([1, -2]),
  },
  tensors: {
    matrix: { shape: [2, 3], bytes: floats([1, 2, 3, 4, 5, 6]) },
    vector: { shape: [2], bytes: floats([7, 8]) },
  },
}

async function open(t: TestContext, bytes: Buffer) {
  const path = join(await makeFolder(t, 'gguf'), 'model.gguf')
  await writeFile(path, bytes)
  const file = await openGguf(path)
  t.after(() => file.close())
  return file
}

async function refusal(t: TestContext, bytes: Buffer, message: RegExp) {
  await assert.rejects(open(t, bytes), (error: unknown) => {
    assert.ok(error instanceof CheckpointError)
    assert.match(error.message, message)
    return true
  })
}

test('metadata of every type is read', async (t) => {
  const file = await open(
    t,
    ggufBytes({
      metadata: {
        u8: { type: 'u8', value: 255 },
        i8: { type: 'i8', value: -128 },
        u16: { type: 'u16', value: 65535 },
        i16: { type: 'i16', value: -2 },
        u32: u32(4_294_967_295),
        i32: { type: 'i32', value: -3 },
        f32: { type: 'f32', value: 0.5 },
        bool: { type: 'bool', value: true },
        string: text('naïve 🎉'),
        u64: { type: 'u64', value: 2 ** 40 },
        large: { type: 'u64', value: 2n ** 64n - 1n },
        i64: { type: 'i64', value: -(2 ** 40) },
        f64: { type: 'f64', value: Math.PI },
        empty: texts([]),
        nested: { type: 'list', of: 'list', value: [i32s([1, 2]), texts(['x'])] },
      },
      tensors: {},
    }),
  )
  assert.deepEqual(Object.fromEntries(file.metadata), {
    u8: 255,
    i8: -128,
    u16: 65535,
    i16: -2,
    u32: 4_294_967_295,
    i32: -3,
    f32: 0.5,
    bool: true,
    string: 'naïve 🎉',
    u64: 2 ** 40,
    large: 2n ** 64n - 1n,
    i64: -(2 ** 40),
    f64: Math.PI,
    empty: [],
    nested: [[1, 2], ['x']],
  })
})

for (const version of [2, 3]) {
  test(`tensors of version ${version} are found, their dimensions in row-major order`, async (t) => {
    const file = await open(t, ggufBytes({ ...SMALL, version }))
    assert.deepEqual(file.tensors.get('matrix')?.shape, [2, 3])
    assert.deepEqual(await file.read('matrix'), Float32Array.of(1, 2, 3, 4, 5, 6))
    assert.deepEqual(await file.read('vector'), Float32Array.of(7, 8))
    await assert.rejects(file.read('other'), /holds no tensor other/)
  })
}

test("a file's own alignment is respected", async (t) => {
  const metadata = { ...SMALL.metadata, 'general.alignment': u32(256) }
  const file = await open(t, ggufBytes({ ...SMALL, metadata, alignment: 256 }))
  assert.deepEqual(await file.read('vector'), Float32Array.of(7, 8))
  const odd = { ...SMALL.metadata, 'general.alignment': u32(24) }
  await refusal(
    t,
    ggufBytes({ ...SMALL, metadata: odd }),
    /general\.alignment in .* is 24; allowed/,
  )
})

test('metadata longer than one read is put together', async (t) => {
  const names = Array.from({ length: 200_000 }, (_, index) => `token ${index}`)
  const file = await open(t, ggufBytes({ ...SMALL, metadata: { names: texts(names) } }))
  assert.deepEqual(file.metadata.get('names'), names)
  assert.deepEqual(await file.read('vector'), Float32Array.of(7, 8))
})

test('an unsupported tensor type is named with those that are', async (t) => {
  const tensors = {
    ...SMALL.tensors,
    packed: { shape: [256], type: 11, bytes: new Uint8Array(110) },
    future: { shape: [256], type: 99, bytes: new Uint8Array(1) },
  }
  const file = await open(t, ggufBytes({ ...SMALL, tensors }))
  await assert.rejects(
    file.read('packed'),
    /packed in .* is Q3_K; supported are F32, F16, BF16, Q8_0, .*Q6_K/,
  )
  await assert.rejects(file.read('future'), /future in .* is type 99/)
})

test('every prefix of a file is refused', async (t) => {
  const whole = ggufBytes(SMALL)
  const path = join(await makeFolder(t, 'prefix'), 'model.gguf')
  // The last tensor's data is 8 bytes; what follows it is padding.
  for (let length = 0; length < whole.length - 24; length++) {
    await writeFile(path, whole.subarray(0, length))
    await assert.rejects(openGguf(path), CheckpointError, `${length} bytes`)
  }
})

test('whichever byte of a header is damaged, the file opens or is refused with a reason', async (t) => {
  const whole = ggufBytes(SMALL)
  const path = join(await makeFolder(t, 'damage'), 'model.gguf')
  for (let at = 0; at < whole.length - 64; at++) {
    for (const value of [0x00, 0x7f, 0xff]) {
      const damaged = Buffer.from(whole)
      damaged[at] = value
      await writeFile(path, damaged)
      try {
        const file = await openGguf(path)
        await file.close()
      } catch (error) {
        assert.ok(error instanceof CheckpointError, `byte ${at} = ${value}: ${String(error)}`)
      }
    }
  }
})

test('counts that the file can not hold are refused before anything is allocated', async (t) => {
  await refusal(t, ggufBytes({ ...SMALL, tensorCount: 2 ** 40 }), /claims 1099511627776 tensors/)
  await refusal(
    t,
    ggufBytes({ ...SMALL, metadataCount: 2 ** 31 }),
    /claims 2147483648 metadata entries/,
  )
  const list = ggufBytes({ metadata: { ids: i32s([1]) }, tensors: {} })
  list.writeBigUInt64LE(2n ** 34n, list.indexOf('ids') + 3 + 4 + 4)
  await refusal(t, list, /claims 17179869184 values of ids/)
  const string = ggufBytes({ metadata: { name: text('abc') }, tensors: {} })
  string.writeBigUInt64LE(2n ** 62n, string.indexOf('abc') - 8)
  await refusal(t, string, /length of name is 4611686018427387904, more than any file holds/)
})

test('what is wrong with a file is named', async (t) => {
  await refusal(t, Buffer.from('PK\x03\x04 a zip file'), /is not a GGUF file/)
  await refusal(t, ggufBytes({ ...SMALL, version: 1 }), /version 1 of GGUF; supported .* 2 and 3/)
  await refusal(t, ggufBytes({ ...SMALL, version: 0x03000000 }), /big-endian/)
  const placed = (tensor: { shape: number[]; type?: number; offset?: number }) =>
    ggufBytes({ ...SMALL, tensors: { matrix: { bytes: new Uint8Array(32), ...tensor } } })
  await refusal(t, placed({ shape: [8], offset: 8 }), /matrix in .* starts at 8, .* alignment 32/)
  await refusal(t, placed({ shape: [8], offset: 64 }), /cut off: tensor matrix ends at byte/)
  await refusal(t, placed({ shape: [2 ** 30, 2 ** 30] }), /cut off: tensor matrix/)
  await refusal(t, placed({ shape: [33], type: 8 }), /is Q8_0 with rows of 33; .*multiples of 32/)
  await refusal(t, placed({ shape: [1, 1, 1, 1, 1] }), /5 dimensions; GGUF allows 4/)
  const twice = ggufBytes({ metadata: { ab: u32(1), ac: u32(2) }, tensors: {} })
  twice.write('ab', twice.indexOf('ac'))
  await refusal(t, twice, /metadata key ab twice/)
})
