// What a GGUF file means: the same model written both ways is the same checkpoint, and what can't
// be served is refused.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { Architecture, Family } from '../../../models/manifest.ts'
import { CheckpointError } from '../../../runtime/checkpoint/checkpoint.ts'
import { openCheckpoint } from '../../../runtime/checkpoint/open.ts'
import { scalingFromFactors } from '../../../runtime/checkpoint/rope-factors.ts'
import { ropeFrequencies } from '../../../runtime/graph/rope.ts'
import { makeFolder } from '../../support/folder.ts'
import { f32, floats, ggufBytes, text, u32 } from '../../support/gguf.ts'
import type { GgufToWrite, GgufValue } from '../../support/gguf.ts'
import { randomCheckpoint, tinyArchitecture } from '../../support/random-checkpoint.ts'
import { ggufOf, writeFolder } from './tiny-models.ts'

/** Llama without rope scaling, which GGUF stores as a tensor. */
const LLAMA: Architecture = { ...tinyArchitecture('llama'), ropeScaling: null }

async function open(t: TestContext, file: GgufToWrite) {
  const path = join(await makeFolder(t, 'gguf-model'), 'model.gguf')
  await writeFile(path, ggufBytes(file))
  const checkpoint = await openCheckpoint(path)
  t.after(() => checkpoint.close())
  return checkpoint
}

async function refusal(t: TestContext, metadata: Record<string, GgufValue>, message: RegExp) {
  const file = ggufOf(randomCheckpoint(LLAMA))
  await assert.rejects(
    open(t, { ...file, metadata: { ...file.metadata, ...metadata } }),
    (error) => {
      assert.ok(error instanceof CheckpointError)
      assert.match(error.message, message)
      return true
    },
  )
}

for (const family of ['llama', 'qwen2', 'qwen3'] satisfies Family[]) {
  test(`a ${family} model is the same from GGUF and from safetensors`, async (t) => {
    const architecture = { ...tinyArchitecture(family), ropeScaling: null }
    const model = randomCheckpoint(architecture)
    const folder = await makeFolder(t, 'folder')
    await writeFolder(folder, model)
    const fromFolder = await openCheckpoint(folder)
    t.after(() => fromFolder.close())
    const fromGguf = await open(t, ggufOf(model))

    assert.deepEqual(fromFolder.architecture, architecture)
    assert.deepEqual(fromGguf.architecture, architecture)
    assert.deepEqual([...fromGguf.tensors.keys()], [...fromFolder.tensors.keys()])
    for (const [name, values] of model.weights) {
      assert.deepEqual(await fromFolder.read(name), values, name)
      assert.deepEqual(await fromGguf.read(name), values, name)
    }
  })
}

test('Mistral in GGUF is a llama, whose head is its own', async (t) => {
  const mistral = { ...tinyArchitecture('mistral'), slidingWindow: null }
  const checkpoint = await open(t, ggufOf(randomCheckpoint(mistral)))
  assert.deepEqual(checkpoint.architecture, { ...mistral, family: 'llama' })
})

test("Llama 3's rope scaling is recovered from the factors in the file", async (t) => {
  const architecture: Architecture = {
    ...LLAMA,
    headDim: 64,
    ropeTheta: 500_000,
    ropeScaling: {
      type: 'llama3',
      factor: 32,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalContextLength: 8192,
    },
  }
  const file = ggufOf(randomCheckpoint(architecture))
  const factors = ropeFactors(architecture)
  file.tensors['rope_freqs.weight'] = { shape: [32], bytes: floats(factors) }
  const checkpoint = await open(t, file)
  assert.deepEqual(checkpoint.architecture, architecture)
  assert.ok(!checkpoint.tensors.has('rope_freqs.weight'))

  factors[10]! *= 1.01
  file.tensors['rope_freqs.weight'] = { shape: [32], bytes: floats(factors) }
  await assert.rejects(
    open(t, file),
    /32 factors of rope_freqs\.weight .* are not those of Llama 3/,
  )
})

test('rope scaling is recovered for the sizes and factors of published models', () => {
  for (const headDim of [64, 128]) {
    for (const [factor, originalContextLength] of [
      [8, 8192],
      [32, 8192],
      [16, 4096],
    ] as const) {
      const ropeScaling = {
        type: 'llama3',
        factor,
        lowFreqFactor: 1,
        highFreqFactor: 4,
        originalContextLength,
      } as const
      const architecture: Architecture = { ...LLAMA, headDim, ropeTheta: 500_000, ropeScaling }
      const factors = Float32Array.from(ropeFactors(architecture))
      assert.deepEqual(scalingFromFactors(factors, 500_000), ropeScaling)
    }
  }
  assert.equal(scalingFromFactors([1, 1, 1, 1], 10_000), null)
  assert.deepEqual(scalingFromFactors([4, 4], 10_000), { type: 'linear', factor: 4 })
  assert.equal(scalingFromFactors([1, 2, 9, 3], 10_000), undefined)
  assert.equal(scalingFromFactors([0, NaN], 10_000), undefined)
})

test('linear rope scaling is read from its keys', async (t) => {
  const file = ggufOf(randomCheckpoint(LLAMA))
  file.metadata['llama.rope.scaling.type'] = text('linear')
  file.metadata['llama.rope.scaling.factor'] = f32(4)
  const checkpoint = await open(t, file)
  assert.deepEqual(checkpoint.architecture.ropeScaling, { type: 'linear', factor: 4 })
})

test('what can not be served is refused by name', async (t) => {
  await refusal(
    t,
    { 'general.architecture': text('gemma3') },
    /architecture "gemma3"; supported are llama, qwen2, qwen3/,
  )
  await refusal(t, { 'llama.expert_count': u32(8) }, /mixture of 8 experts/)
  await refusal(t, { 'split.count': u32(3) }, /one of 3 parts/)
  await refusal(t, { 'llama.rope.scaling.type': text('yarn') }, /rope\.scaling\.type is "yarn"/)
  await refusal(
    t,
    { 'llama.rope.dimension_count': u32(16) },
    /dimension_count is 16 where heads have 32/,
  )
  await refusal(t, { 'llama.block_count': text('3') }, /llama\.block_count is "3", allowed is/)
})

test('fields that are missing are named at once', async (t) => {
  const file = ggufOf(randomCheckpoint(LLAMA))
  delete file.metadata['llama.block_count']
  delete file.metadata['llama.context_length']
  await assert.rejects(
    open(t, file),
    /llama\.block_count is missing .*; llama\.context_length is missing/,
  )
})

test('tensors that are missing, misshapen or of no supported type are named', async (t) => {
  const file = ggufOf(randomCheckpoint(LLAMA))
  delete file.tensors['blk.1.ffn_up.weight']
  file.tensors['blk.0.attn_norm.weight'] = { shape: [32], bytes: floats(new Float32Array(32)) }
  file.tensors['blk.2.ffn_gate.weight'] = { shape: [128, 64], type: 16, bytes: new Uint8Array(64) }
  file.tensors['blk.0.attn_q.bias'] = { shape: [128], bytes: floats(new Float32Array(128)) }
  await assert.rejects(open(t, file), (error: Error) => {
    assert.match(error.message, /missing: model\.layers\.1\.mlp\.up_proj\.weight/)
    assert.match(
      error.message,
      /model\.layers\.0\.input_layernorm\.weight is \[32\] instead of \[64\]/,
    )
    assert.match(
      error.message,
      /model\.layers\.2\.mlp\.gate_proj\.weight is IQ2_XXS \(supported are F32, /,
    )
    assert.match(
      error.message,
      /not part of a llama model: model\.layers\.0\.self_attn\.q_proj\.bias/,
    )
    return true
  })
})

/** What a converter stores: the number that each frequency is divided by. */
function ropeFactors(architecture: Architecture): number[] {
  const plain = ropeFrequencies({ ...architecture, ropeScaling: null })
  return ropeFrequencies(architecture).map((frequency, pair) => plain[pair]! / frequency)
}
