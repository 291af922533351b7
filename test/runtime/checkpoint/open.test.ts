// Opening a path: what counts as a checkpoint, what a folder's files say about ends, templates,
// sampling and licence.

import assert from 'node:assert/strict'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { CheckpointError } from '../../../runtime/checkpoint/checkpoint.ts'
import { openCheckpoint } from '../../../runtime/checkpoint/open.ts'
import { requiredTensors } from '../../../runtime/checkpoint/required-tensors.ts'
import { makeFolder } from '../../support/folder.ts'
import { ggufBytes } from '../../support/gguf.ts'
import { randomCheckpoint, tinyArchitecture } from '../../support/random-checkpoint.ts'
import { halfBytes, writeSafetensors } from '../../support/safetensors.ts'
import {
  CHAT_TEMPLATE,
  configOf,
  ggufOf,
  tensorsOf,
  tokenizerJson,
  writeFolder,
  writeJsonFile,
} from './tiny-models.ts'

const LLAMA = { ...tinyArchitecture('llama'), layers: 1 }

async function tinyFolder(t: TestContext): Promise<string> {
  const folder = await makeFolder(t, 'checkpoint')
  await writeFolder(folder, randomCheckpoint(LLAMA))
  return folder
}

async function open(t: TestContext, path: string) {
  const checkpoint = await openCheckpoint(path)
  t.after(() => checkpoint.close())
  return checkpoint
}

async function refusal(path: string, message: RegExp) {
  await assert.rejects(openCheckpoint(path), (error: unknown) => {
    assert.ok(error instanceof CheckpointError, String(error))
    assert.match(error.message, message)
    return true
  })
}

test('a folder with safetensors is a checkpoint, with its tokenizer', async (t) => {
  const checkpoint = await open(t, await tinyFolder(t))
  assert.deepEqual(checkpoint.architecture, LLAMA)
  assert.deepEqual([...checkpoint.tensors.values()], requiredTensors(LLAMA))
  assert.deepEqual(checkpoint.tokenizer.json, tokenizerJson())
  assert.equal(checkpoint.tokenizer.chatTemplate, CHAT_TEMPLATE)
  assert.equal(checkpoint.tokenizer.bosTokenId, 1)
  assert.equal(checkpoint.licence, null)
  await assert.rejects(
    checkpoint.read('model.layers.1.mlp.up_proj.weight'),
    /has no tensor model\.layers\.1/,
  )
})

test('a GGUF file is a checkpoint, under any name and as the only one of a folder', async (t) => {
  const folder = await makeFolder(t, 'gguf')
  const bytes = ggufBytes(ggufOf(randomCheckpoint({ ...LLAMA, ropeScaling: null })))
  await writeFile(join(folder, 'model.gguf'), bytes)
  await writeFile(join(folder, 'blob'), bytes)
  assert.equal((await open(t, folder)).licence, 'Apache-2.0')
  assert.equal((await open(t, join(folder, 'model.gguf'))).architecture.layers, 1)
  assert.equal((await open(t, join(folder, 'blob'))).architecture.layers, 1)
  await writeFile(join(folder, 'other.gguf'), bytes)
  await refusal(folder, /holds 2 GGUF files \(model\.gguf, other\.gguf\); give the path of one/)
})

test('what is no checkpoint is said to be none', async (t) => {
  const folder = await makeFolder(t, 'none')
  await refusal(join(folder, 'absent'), /There is no checkpoint at .*absent/)
  await refusal(folder, /holds neither safetensors nor a GGUF file; found: nothing/)
  await writeFile(join(folder, 'notes.txt'), 'notes')
  await refusal(folder, /found: notes\.txt/)
  await refusal(
    join(folder, 'notes.txt'),
    /is not a GGUF file; supported are a \.gguf file and a folder/,
  )
  await writeSafetensors(join(folder, 'model.safetensors'), {})
  await refusal(join(folder, 'model.safetensors'), /give the folder that holds it/)
})

test('weights that are pickles are refused because reading them can run code', async (t) => {
  const folder = await makeFolder(t, 'pickle')
  await writeFile(join(folder, 'pytorch_model.bin'), '')
  await refusal(folder, /only as pytorch_model\.bin: such files are pickles, which can run code/)
})

test('the file that a folder lacks is named with what it is needed for', async (t) => {
  for (const name of ['config.json', 'tokenizer.json']) {
    const folder = await tinyFolder(t)
    await rm(join(folder, name))
    await refusal(folder, new RegExp(`${name} is missing: .*(tensors mean|fast format)`))
    await writeFile(join(folder, name), '{ "half": ')
    await refusal(folder, new RegExp(`${name} is not JSON`))
    await writeFile(join(folder, name), '[]')
    await refusal(folder, new RegExp(`${name} does not hold a JSON object`))
    await rm(join(folder, name))
    await mkdir(join(folder, name))
    await refusal(folder, new RegExp(`${name} can't be read`))
  }
})

test('all tensors that a configuration asks for and the files lack are counted', async (t) => {
  const folder = await tinyFolder(t)
  await writeJsonFile(folder, 'config.json', { ...configOf(LLAMA), num_hidden_layers: 4 })
  await refusal(folder, /missing: model\.layers\.1\.input_layernorm\.weight, .* and 19 more/)
})

test('tensors of the wrong shape, of an integer type or of another family are named', async (t) => {
  const folder = await tinyFolder(t)
  const tensors = tensorsOf(randomCheckpoint(LLAMA))
  tensors['model.norm.weight'] = {
    shape: [64],
    values: { dtype: 'I8', bytes: new Uint8Array(64) },
  }
  tensors['model.layers.0.mlp.up_proj.weight']!.shape = [64, 128]
  tensors['model.layers.0.self_attn.rotary_emb.inv_freq'] = {
    shape: [2],
    values: { dtype: 'F16', bytes: halfBytes([0, 0]) },
  }
  tensors['model.layers.0.mlp.experts.weight'] = { shape: [1], values: Float32Array.of(1) }
  await writeSafetensors(join(folder, 'model.safetensors'), tensors)
  await assert.rejects(openCheckpoint(folder), (error: Error) => {
    assert.match(error.message, /up_proj\.weight is \[64, 128\] instead of \[128, 64\]/)
    assert.match(error.message, /model\.norm\.weight is I8 \(supported are F32, F16, BF16\)/)
    assert.match(
      error.message,
      /not part of a llama model: model\.layers\.0\.mlp\.experts\.weight$/,
    )
    return true
  })
})

test('a head that is stored although it is tied is left aside', async (t) => {
  const folder = await tinyFolder(t)
  const model = randomCheckpoint({ ...LLAMA, tiedEmbeddings: false })
  await writeSafetensors(join(folder, 'model.safetensors'), tensorsOf(model))
  const checkpoint = await open(t, folder)
  assert.ok(checkpoint.architecture.tiedEmbeddings)
  assert.ok(!checkpoint.tensors.has('lm_head.weight'))
})

test('a turn ends at every token that any of the files names', async (t) => {
  const folder = await tinyFolder(t)
  // The configuration and eos_token say 0, the template closes turns with <|im_end|> (2).
  assert.deepEqual((await open(t, folder)).tokenizer.endTokenIds, [0, 2])
  await writeJsonFile(folder, 'generation_config.json', { eos_token_id: [1, 5] })
  assert.deepEqual((await open(t, folder)).tokenizer.endTokenIds, [0, 1, 2, 5])
  await writeJsonFile(folder, 'generation_config.json', { eos_token_id: '5' })
  await refusal(folder, /eos_token_id in .*generation_config\.json is "5"; allowed are token ids/)
  await writeJsonFile(folder, 'generation_config.json', { eos_token_id: 300 })
  await refusal(folder, /names the token ids 300; the model has the ids 0 to 299/)
})

test('the chat template of a file of its own wins over those in JSON', async (t) => {
  const folder = await tinyFolder(t)
  const template = async () => (await open(t, folder)).tokenizer.chatTemplate
  await writeJsonFile(folder, 'tokenizer_config.json', {
    chat_template: [
      { name: 'tool_use', template: 'tools' },
      { name: 'default', template: 'plain' },
    ],
  })
  assert.equal(await template(), 'plain')
  await writeJsonFile(folder, 'chat_template.json', { chat_template: 'json' })
  assert.equal(await template(), 'json')
  await writeFile(join(folder, 'chat_template.jinja'), 'jinja')
  assert.equal(await template(), 'jinja')
  const bare = await tinyFolder(t)
  await writeJsonFile(bare, 'tokenizer_config.json', {})
  assert.equal((await open(t, bare)).tokenizer.chatTemplate, null)
  await writeJsonFile(bare, 'tokenizer_config.json', { chat_template: 7 })
  await refusal(bare, /chat_template in .* is neither a text nor a list/)
})

test("the generation configuration's sampling is the model's default", async (t) => {
  const folder = await tinyFolder(t)
  await writeJsonFile(folder, 'generation_config.json', {
    do_sample: true,
    temperature: 0.6,
    top_p: 0.95,
    top_k: 20,
    repetition_penalty: 1.1,
  })
  const { sampling } = (await open(t, folder)).tokenizer
  assert.deepEqual(sampling, { temperature: 0.6, topP: 0.95, topK: 20, repetitionPenalty: 1.1 })
  await writeJsonFile(folder, 'generation_config.json', { temperature: -1, top_p: 2 })
  await refusal(folder, /temperature is -1, allowed is .*; top_p is 2, allowed is/)
})

test('the licence is the one that the model card or the licence file names', async (t) => {
  const folder = await tinyFolder(t)
  const licence = async () => (await open(t, folder)).licence
  await writeFile(join(folder, 'LICENSE'), 'Permission is granted to nobody.')
  assert.equal(await licence(), null)
  await writeFile(join(folder, 'LICENSE'), '    Apache License\n      Version 2.0, January 2004')
  assert.equal(await licence(), 'Apache-2.0')
  const cards: [card: string, licence: string][] = [
    ['---\nlanguage: en\nlicense: mit\n---\n# Model', 'MIT'],
    ['---\nlicense: llama3.2\n---', 'llama3.2'],
    ['---\nlicense: other\nlicense_name: "qwen-research"\n---', 'qwen-research'],
    ['---\nlicense:\n- apache-2.0\n---', 'Apache-2.0'],
    ['# No front matter\nlicense: mit', 'Apache-2.0'],
  ]
  for (const [card, expected] of cards) {
    await writeFile(join(folder, 'README.md'), card)
    assert.equal(await licence(), expected, card)
  }
})
