// config.json of each family, in older and newer spellings, and what is refused.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { FAMILIES } from '../../../models/manifest.ts'
import { CheckpointError } from '../../../runtime/checkpoint/checkpoint.ts'
import { readArchitecture } from '../../../runtime/checkpoint/families.ts'
import { tinyArchitecture } from '../../support/random-checkpoint.ts'
import { configOf } from './tiny-models.ts'

const LLAMA = configOf(tinyArchitecture('llama'))
const QWEN = configOf(tinyArchitecture('qwen2'))

function read(config: Record<string, unknown>, hasHead = true) {
  return readArchitecture(config, hasHead, 'config.json')
}

function refused(config: Record<string, unknown>, message: RegExp) {
  assert.throws(
    () => read(config),
    (error: unknown) => {
      assert.ok(error instanceof CheckpointError)
      assert.match(error.message, message)
      return true
    },
  )
}

for (const family of FAMILIES) {
  test(`the configuration of a ${family} model is its architecture`, () => {
    const architecture = tinyArchitecture(family)
    assert.deepEqual(read(configOf(architecture)), architecture)
  })
}

test('rope parameters are read from either spelling', () => {
  const { rope_theta: ropeTheta, rope_scaling: scaling, ...rest } = LLAMA
  const newer = { ...rest, rope_parameters: { rope_theta: ropeTheta, ...Object(scaling) } }
  assert.deepEqual(read(newer), read(LLAMA))
  const plain = { ...rest, rope_parameters: { rope_theta: 500_000, rope_type: 'default' } }
  assert.equal(read(plain).ropeTheta, 500_000)
  assert.equal(read(plain).ropeScaling, null)
  assert.equal(read(rest).ropeTheta, 10_000)
  const linear = read({ ...LLAMA, rope_scaling: { type: 'linear', factor: 2 } })
  assert.deepEqual(linear.ropeScaling, { type: 'linear', factor: 2 })
})

test('a rope scaling that is not built is refused by name', () => {
  const yarn = { ...LLAMA, rope_scaling: { rope_type: 'yarn', factor: 4 } }
  refused(yarn, /type of rope_scaling is "yarn", supported are "default", "linear" and "llama3"/)
  refused(
    { ...LLAMA, rope_scaling: { rope_type: 'llama3', factor: 8 } },
    /low_freq_factor is missing/,
  )
})

test('fields left out take what the family means by it', () => {
  const { head_dim: _, num_key_value_heads: __, tie_word_embeddings: ___, ...rest } = LLAMA
  const architecture = read({ ...rest, hidden_size: 64, num_attention_heads: 4 }, true)
  assert.equal(architecture.headDim, 16)
  assert.equal(architecture.kvHeads, 4)
  assert.equal(architecture.tiedEmbeddings, false)
  assert.equal(read(rest, false).tiedEmbeddings, true)
})

test('another family is refused by name, with those that are supported', () => {
  const gemma = { ...LLAMA, model_type: 'gemma2', architectures: ['Gemma2ForCausalLM'] }
  refused(
    gemma,
    /family "gemma2", architecture "Gemma2ForCausalLM"; supported are llama .*qwen2 .*qwen3 .*mistral/,
  )
  refused(
    { ...LLAMA, architectures: ['LlamaForSequenceClassification'] },
    /LlamaForSequenceClassification/,
  )
  refused({}, /family null, architecture null/)
  const { model_type: _, ...untyped } = LLAMA
  assert.equal(read(untyped).family, 'llama')
})

test('experts, quantised weights and variations of a family are refused by name', () => {
  refused({ ...LLAMA, num_local_experts: 8 }, /num_local_experts = 8: it is a mixture of experts/)
  refused(
    { ...LLAMA, quantization_config: { quant_method: 'gptq' } },
    /quantization_config \("gptq"\)/,
  )
  refused({ ...LLAMA, hidden_act: 'gelu' }, /hidden_act is "gelu", supported is "silu"/)
  refused({ ...LLAMA, attention_bias: true }, /attention_bias is true, supported is false/)
  refused({ ...LLAMA, partial_rotary_factor: 0.5 }, /partial_rotary_factor is 0.5, supported is 1/)
})

test('all fields that are missing or wrong are named at once, and none for following from them', () => {
  const { hidden_size: _, rms_norm_eps: __, ...rest } = LLAMA
  refused(
    { ...rest, num_attention_heads: '4', vocab_size: 0 },
    /^config\.json: num_attention_heads is "4", allowed is a whole number of at least 1; hidden_size is missing \(a whole number of at least 1\); vocab_size is 0, allowed is [^;]*; rms_norm_eps is missing \(a number above 0\)$/,
  )
})

test('fields that contradict each other are named', () => {
  refused(
    { ...LLAMA, num_key_value_heads: 3 },
    /num_attention_heads 4 is not a multiple of num_key_value_heads 3/,
  )
  refused({ ...LLAMA, head_dim: null, hidden_size: 66 }, /hidden_size 66 is not a multiple/)
  refused({ ...LLAMA, head_dim: 15 }, /head_dim is 15; rotary needs an even one/)
})

test('a sliding window counts where the model uses it for all layers', () => {
  const mistral = configOf(tinyArchitecture('mistral'))
  assert.equal(read(mistral).slidingWindow, 16)
  assert.equal(read({ ...mistral, sliding_window: null }).slidingWindow, null)
  const qwen = { ...QWEN, sliding_window: 16, max_window_layers: 0 }
  assert.equal(read({ ...qwen, use_sliding_window: false }).slidingWindow, null)
  assert.equal(read({ ...qwen, use_sliding_window: true }).slidingWindow, 16)
  assert.equal(
    read({ ...qwen, use_sliding_window: true, max_window_layers: 3 }).slidingWindow,
    null,
  )
  refused(
    { ...qwen, use_sliding_window: true, max_window_layers: 2 },
    /1 of 3 layers have a sliding window/,
  )
  const kinds = ['sliding_attention', 'full_attention', 'full_attention']
  refused({ ...qwen, use_sliding_window: true, layer_types: kinds }, /1 of 3 layers/)
})
