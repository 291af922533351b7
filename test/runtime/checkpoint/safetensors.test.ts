// Reading safetensors: values of every dtype, shards, and files that are damaged in every way the
// header allows.

import assert from 'node:assert/strict'
import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { CheckpointError } from '../../../runtime/checkpoint/checkpoint.ts'
import { openSafetensors } from '../../../runtime/checkpoint/safetensors.ts'
import { makeFolder } from '../../support/folder.ts'
import { halfBytes, safetensorsBytes, writeSafetensors } from '../../support/safetensors.ts'

const MATRIX = { shape: [2, 3], values: Float32Array.of(1, 2, 3, 4, 5, 6) }
const VECTOR = { shape: [2], values: Float32Array.of(7, 8) }

async function open(t: TestContext, folder: string) {
  const source = await openSafetensors(folder)
  t.after(() => source.close())
  return source
}

async function folderWith(t: TestContext, bytes: Buffer): Promise<string> {
  const folder = await makeFolder(t, 'safetensors')
  await writeFile(join(folder, 'model.safetensors'), bytes)
  return folder
}

async function refusal(folder: string, message: RegExp) {
  await assert.rejects(openSafetensors(folder), (error: unknown) => {
    assert.ok(error instanceof CheckpointError)
    assert.match(error.message, message)
    return true
  })
}

test('F32, F16 and BF16 tensors are read as float32', async (t) => {
  const folder = await folderWith(
    t,
    safetensorsBytes({
      matrix: MATRIX,
      half: { shape: [2], values: { dtype: 'F16', bytes: halfBytes([0x3c00, 0xc000]) } },
      bfloat: { shape: [2], values: { dtype: 'BF16', bytes: halfBytes([0x3f80, 0xc000]) } },
    }),
  )
  const source = await open(t, folder)
  assert.deepEqual(source.tensors.get('matrix')?.shape, [2, 3])
  assert.deepEqual(await source.read('matrix'), MATRIX.values)
  assert.deepEqual(await source.read('half'), Float32Array.of(1, -2))
  assert.deepEqual(await source.read('bfloat'), Float32Array.of(1, -2))
})

test('tensors are found in the shard that the index names', async (t) => {
  const folder = await makeFolder(t, 'shards')
  await writeSafetensors(join(folder, 'a.safetensors'), { matrix: MATRIX })
  await writeSafetensors(join(folder, 'b.safetensors'), { vector: VECTOR })
  await writeIndex(folder, { matrix: 'a.safetensors', vector: 'b.safetensors' })
  const source = await open(t, folder)
  assert.deepEqual(await source.read('matrix'), MATRIX.values)
  assert.deepEqual(await source.read('vector'), VECTOR.values)
})

test('a missing shard is named', async (t) => {
  const folder = await makeFolder(t, 'shards')
  await writeSafetensors(join(folder, 'a.safetensors'), { matrix: MATRIX })
  await writeIndex(folder, { matrix: 'a.safetensors', vector: 'b.safetensors' })
  await refusal(folder, /lacks 1 of the 2 shards .*: b\.safetensors$/)
})

test('a shard without the tensor that the index promises is named with it', async (t) => {
  const folder = await makeFolder(t, 'shards')
  await writeSafetensors(join(folder, 'a.safetensors'), { matrix: MATRIX })
  await writeIndex(folder, { matrix: 'a.safetensors', vector: 'a.safetensors' })
  await refusal(folder, /a\.safetensors does not hold tensor vector/)
})

test('an index can not lead out of its folder', async (t) => {
  const folder = await makeFolder(t, 'shards')
  for (const shard of ['../other.safetensors', '/etc/passwd', '..', '', 7]) {
    await writeIndex(folder, { matrix: shard })
    await refusal(folder, /puts tensor matrix into .*allowed is the name of a file beside it/)
  }
})

test('a folder with other safetensors files than a model names them', async (t) => {
  const folder = await makeFolder(t, 'adapter')
  await writeSafetensors(join(folder, 'adapter_model.safetensors'), { matrix: MATRIX })
  await refusal(folder, /neither model\.safetensors nor .*adapter_model\.safetensors/)
})

test('a cut-off file is refused when it is opened, naming the tensor and both sizes', async (t) => {
  const folder = await folderWith(t, safetensorsBytes({ matrix: MATRIX }))
  const path = join(folder, 'model.safetensors')
  const { length } = safetensorsBytes({ matrix: MATRIX })
  await truncate(path, length - 1)
  await refusal(
    folder,
    new RegExp(`cut off: tensor matrix ends at byte ${length}, the file at ${length - 1}`),
  )
})

test('a file that shrinks after it was opened is noticed', async (t) => {
  const folder = await folderWith(t, safetensorsBytes({ matrix: MATRIX }))
  const source = await open(t, folder)
  await truncate(join(folder, 'model.safetensors'), 100)
  await assert.rejects(source.read('matrix'), /became shorter while tensor matrix was read/)
})

test('every prefix of a file is refused', async (t) => {
  const whole = safetensorsBytes({ matrix: MATRIX, vector: VECTOR })
  const folder = await makeFolder(t, 'prefix')
  for (let length = 0; length < whole.length; length++) {
    await writeFile(join(folder, 'model.safetensors'), whole.subarray(0, length))
    await refusal(folder, /cut off|has \d bytes/)
  }
})

test('a header that claims more than the file holds is refused before it is read', async (t) => {
  const bytes = safetensorsBytes({ matrix: MATRIX })
  bytes.writeBigUInt64LE(2n ** 63n)
  await refusal(await folderWith(t, bytes), /header claims \d+ bytes/)
})

test('what is wrong with a header is named with its tensor', async (t) => {
  const damages: [change: (header: Record<string, unknown>) => void, message: RegExp][] = [
    [(h) => (h.matrix = 7), /Tensor matrix in .* has no dtype/],
    [(h) => (h.matrix = { dtype: 'F32', shape: [2, -3], data_offsets: [0, 24] }), /shape \[2,-3\]/],
    [
      (h) => (h.matrix = { dtype: 'F32', shape: [6], data_offsets: [24, 0] }),
      /data_offsets \[24,0\]/,
    ],
    [
      (h) => (h.matrix = { dtype: 'F32', shape: [7], data_offsets: [0, 24] }),
      /24 bytes; its shape \[7\] of F32 takes 28/,
    ],
    [(h) => (h.matrix = { dtype: 'F16', shape: [6], data_offsets: [0, 24] }), /takes 12/],
    [
      (h) => (h.vector = { dtype: 'F32', shape: [2], data_offsets: [20, 28] }),
      /matrix and vector overlap/,
    ],
  ]
  for (const [change, message] of damages) {
    const bytes = safetensorsBytes({ matrix: MATRIX, vector: VECTOR }, change)
    await refusal(await folderWith(t, bytes), message)
  }
  const noJson = safetensorsBytes({ matrix: MATRIX })
  noJson.write('!', 8)
  await refusal(await folderWith(t, noJson), /header of .* is not JSON/)
})

test('an unsupported dtype is named when its tensor is asked for', async (t) => {
  const bytes = safetensorsBytes({
    matrix: MATRIX,
    ids: { shape: [1], values: { dtype: 'I64', bytes: new Uint8Array(8) } },
    packed: { shape: [4], values: { dtype: 'F4', bytes: new Uint8Array(2) } },
  })
  const source = await open(t, await folderWith(t, bytes))
  await assert.rejects(source.read('ids'), /Tensor ids in .* is I64; supported are F32, F16, BF16/)
  await assert.rejects(source.read('packed'), /packed in .* is F4/)
  await assert.rejects(source.read('absent'), /holds no tensor absent/)
})

async function writeIndex(folder: string, weightMap: Record<string, unknown>) {
  const index = { metadata: {}, weight_map: weightMap }
  await writeFile(join(folder, 'model.safetensors.index.json'), JSON.stringify(index))
}
