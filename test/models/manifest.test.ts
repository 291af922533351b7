import assert from 'node:assert/strict'
import { chmod, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { sha256File, sumOfFiles, verifyVersion } from '../../models/checksums.ts'
import { ManifestError, parseManifest, readManifest } from '../../models/manifest.ts'
import type { DecoderManifest } from '../../models/manifest.ts'
import { ModelStore } from '../../models/store.ts'
import { draftOf, publishVersion, scratchFolder } from './scratch.ts'

const FILE = { sha256: 'c'.repeat(64), bytes: 3 }
const VALID: DecoderManifest = {
  ...draftOf('chat'),
  version: '1',
  created: '2031-01-02T03:04:05.678Z',
  files: {
    'model.onnx': FILE,
    'model.onnx.data': FILE,
    'tokenizer.json': FILE,
    'tokenizer_config.json': FILE,
  },
}

test('a manifest is read back as it was written', async (t) => {
  const store = new ModelStore(await scratchFolder(t))
  const { folder, manifest } = await publishVersion(store, 'chat')
  assert.deepEqual(await readManifest(folder), manifest)
})

test('every wrong field of a manifest is named, with what was found and what is allowed', () => {
  const wrong = {
    ...VALID,
    precision: 'int2',
    parameters: -5,
    licence: 7,
    graph: { ...VALID.graph, file: '../model.onnx' },
    architecture: { ...VALID.architecture, family: 'mamba' },
  }
  assert.throws(
    () => parseManifest(wrong, '/m/1/manifest.json'),
    (error) => {
      assert.ok(error instanceof ManifestError)
      assert.match(error.message, /^\/m\/1\/manifest\.json: /)
      assert.match(error.message, /precision is "int2": must be one of "fp32", "int8", "int4"/)
      assert.match(error.message, /parameters is -5: must be >= 1/)
      assert.match(error.message, /licence is 7: must be null or must be string/)
      assert.match(error.message, /graph\.file is "\.\.\/model\.onnx": must match pattern/)
      assert.match(
        error.message,
        /architecture\.family is "mamba": must be one of "llama", "qwen2"/,
      )
      return true
    },
  )
})

test('a field that is missing is named', () => {
  const { chatTemplate: _, ...without } = VALID
  assert.throws(
    () => parseManifest(without, 'm.json'),
    /^ManifestError: m\.json: chatTemplate must be there$/,
  )
  assert.throws(() => parseManifest([], 'm.json'), /the document is \[\]: must be object/)
})

test('a manifest from before there were kinds is that of a model that generates', () => {
  const { kind: _, ...old } = VALID
  assert.deepEqual(parseManifest(old, 'm.json'), VALID)
})

test('the manifest of an encoder is read, and what it says of its output has to be of its kind', () => {
  const { chatTemplate: _, sampling: __, ...rest } = VALID
  const encoder = {
    ...rest,
    kind: 'embed',
    architecture: {
      family: 'bert',
      layers: 2,
      hiddenSize: 64,
      intermediateSize: 128,
      heads: 4,
      vocabSize: 512,
      contextLength: 256,
      segments: 2,
      normEpsilon: 1e-12,
      activation: 'gelu',
    },
    tokenizer: { file: 'tokenizer.json', configFile: 'tokenizer_config.json', padTokenId: 0 },
    output: { kind: 'embed', pooling: 'mean', isNormalised: true, dimensions: 64 },
    graph: { file: 'model.onnx', dataFile: null, layout: 'packed', output: 'hidden' },
  }
  assert.deepEqual(parseManifest(encoder, 'm.json'), encoder)
  assert.throws(
    () => parseManifest({ ...encoder, output: { kind: 'rerank' } }, 'm.json'),
    /output\.kind is rerank: must be embed/,
  )
  assert.throws(
    () => parseManifest({ ...encoder, graph: { ...encoder.graph, layout: 'loose' } }, 'm.json'),
    /graph\.layout is "loose": must be one of "packed", "padded"/,
  )
  assert.throws(
    () => parseManifest({ ...encoder, kind: 'draw' }, 'm.json'),
    /kind is "draw": must be/,
  )
})

test('a manifest of a later format is refused', () => {
  assert.throws(() => parseManifest({ ...VALID, format: 2 }, 'm.json'), /format is 2: must be 1/)
})

test('a manifest that names a file it does not list is refused', () => {
  const { 'model.onnx.data': _, ...files } = VALID.files
  assert.throws(
    () => parseManifest({ ...VALID, files }, 'm.json'),
    /files does not list model\.onnx\.data/,
  )
})

test('a file name that leads out of the folder is refused', () => {
  assert.throws(
    () =>
      parseManifest({ ...VALID, files: { ...VALID.files, '../../etc/passwd': FILE } }, 'm.json'),
    /passwd.* is not a known field/,
  )
})

test('verifying names every file that is missing, cut off, changed or not listed', async (t) => {
  const store = new ModelStore(await scratchFolder(t))
  const { folder } = await publishVersion(store, 'chat')
  assert.deepEqual(await verifyVersion(folder), [])

  const change = async (name: string, content: string) => {
    await chmod(join(folder, name), 0o644)
    await writeFile(join(folder, name), content)
  }
  await change('model.onnx', 'Content of model.onnx')
  await change('model.onnx.data', 'content')
  await rm(join(folder, 'tokenizer.json'))
  await writeFile(join(folder, 'extra.bin'), '')

  const problems = (await verifyVersion(folder)).map((text) => text.replaceAll(`${folder}/`, ''))
  assert.equal(problems.length, 4)
  assert.match(problems[0] ?? '', /^model\.onnx has sha256 [0-9a-f]{64}; the manifest says/)
  assert.equal(problems[1], 'model.onnx.data has 7 bytes; the manifest says 26')
  assert.equal(problems[2], 'tokenizer.json is missing')
  assert.equal(problems[3], 'extra.bin is not in the manifest')
})

test('the sum of a checkpoint is that of its sorted sha256 lines', async (t) => {
  const folder = await scratchFolder(t)
  await writeFile(join(folder, 'a'), 'abc')
  const a = await sha256File(join(folder, 'a'))
  assert.equal(a, 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  // What `sha256sum a b | sha256sum` prints, for two files that hold "abc".
  const both = '6e0534855d1d183250459e82c311fb77578cf75019787625a10154399462260d'
  assert.equal(sumOfFiles({ a, b: a }), both)
  assert.equal(sumOfFiles({ b: a, a }), both)
  assert.notEqual(sumOfFiles({ a }), sumOfFiles({ b: a }))
})
