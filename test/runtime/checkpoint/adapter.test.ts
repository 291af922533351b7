// LoRA adapters merged into random checkpoints, against x · Wᵀ + scale · (x · Aᵀ) · Bᵀ written down plainly.

import assert from 'node:assert/strict'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { openAdapter } from '../../../runtime/checkpoint/adapter.ts'
import { CheckpointError } from '../../../runtime/checkpoint/checkpoint.ts'
import type { Checkpoint } from '../../../runtime/checkpoint/checkpoint.ts'
import { mergeAdapter } from '../../../runtime/checkpoint/merged.ts'
import { writeAdapter } from '../../support/adapter.ts'
import type { AdapterOptions } from '../../support/adapter.ts'
import { makeFolder } from '../../support/folder.ts'
import { randomCheckpoint, TINY, tinyArchitecture } from '../../support/random-checkpoint.ts'
import { referenceLogits } from '../../support/reference.ts'
import { startRunner } from '../../support/runner.ts'

const TOKENS = [5, 200, 17, 3, 99, 42, 250, 8]

async function merge(t: TestContext, base: Checkpoint, options: AdapterOptions = {}) {
  const folder = await makeFolder(t, 'adapter')
  const tensors = await writeAdapter(folder, base, options)
  const merged = mergeAdapter(base, await openAdapter(folder, base))
  t.after(() => merged.close())
  return { merged, tensors }
}

async function refusal(t: TestContext, options: AdapterOptions): Promise<string> {
  const folder = await makeFolder(t, 'adapter')
  const base = randomCheckpoint(TINY)
  await writeAdapter(folder, base, options)
  const error = await openAdapter(folder, base).then(
    () => null,
    (thrown: unknown) => thrown,
  )
  assert(error instanceof CheckpointError, 'it was not refused')
  return error.message
}

/** x · Aᵀ, then · Bᵀ: what PEFT computes beside the layer, in double precision. */
function beside(x: number[], a: Float32Array, b: Float32Array, rank: number): number[] {
  const inner = Array.from({ length: rank }, (_, k) =>
    x.reduce((sum, value, i) => sum + value * a[k * x.length + i]!, 0),
  )
  return Array.from({ length: b.length / rank }, (_, row) =>
    inner.reduce((sum, value, k) => sum + value * b[row * rank + k]!, 0),
  )
}

for (const [title, scale, config] of [
  ['alpha / rank', 8 / 4, {}],
  ['alpha / √rank (rsLoRA)', 8 / 2, { use_rslora: true }],
  ['an alpha of its own', 3 / 4, { alpha_pattern: { 'layers.1.self_attn.q_proj': 3 } }],
] as const) {
  test(`a merged layer computes what layer and adapter compute together, scaled by ${title}`, async (t) => {
    const base = randomCheckpoint(TINY)
    const { merged, tensors } = await merge(t, base, { config })
    const name = 'model.layers.1.self_attn.q_proj'
    const x = Array.from({ length: TINY.hiddenSize }, (_, i) => Math.sin(i))
    const times = (matrix: Float32Array) =>
      Array.from({ length: matrix.length / x.length }, (_, row) =>
        x.reduce((sum, value, i) => sum + value * matrix[row * x.length + i]!, 0),
      )
    const part = (letter: string) =>
      tensors[`base_model.model.${name}.lora_${letter}.weight`]!.values as Float32Array
    const added = beside(x, part('A'), part('B'), 4)
    const plain = times(await base.read(`${name}.weight`))
    for (const [row, value] of times(await merged.read(`${name}.weight`)).entries()) {
      assert(Math.abs(value - (plain[row]! + scale * added[row]!)) < 1e-5)
    }
  })
}

for (const family of ['llama', 'qwen3'] as const) {
  test(`the graph of a merged ${family} gives the merged network's logits, and not the base's`, async (t) => {
    const base = randomCheckpoint(tinyArchitecture(family))
    const { merged } = await merge(t, base)
    const runner = await startRunner(t, merged, 'fp32')
    runner.prefill(0, TOKENS, 0, 'logits')
    const expected = (await referenceLogits(merged, TOKENS)).at(-1)!
    const plain = (await referenceLogits(base, TOKENS)).at(-1)!
    const far = (other: Float64Array) =>
      Math.max(...other.map((value, i) => Math.abs(value - runner.logits(0)[i]!)))
    assert(far(expected) < 1e-3)
    assert(far(plain) > 0.1)
  })
}

test('layers that are left out stay as they are, and ranks may differ', async (t) => {
  const base = randomCheckpoint(TINY)
  const { merged } = await merge(t, base, {
    targets: ['q_proj', 'v_proj'],
    config: { layers_to_transform: [0, 2], rank_pattern: { 'layers.2.self_attn.v_proj': 1 } },
    change: (tensors) => {
      for (const name of Object.keys(tensors)) {
        if (name.includes('layers.1.')) delete tensors[name]
      }
      const prefix = 'base_model.model.model.layers.2.self_attn.v_proj.lora_'
      tensors[`${prefix}A.weight`] = { shape: [1, 64], values: new Float32Array(64).fill(1) }
      tensors[`${prefix}B.weight`] = { shape: [64, 1], values: new Float32Array(64).fill(0.5) }
    },
  })
  const changes = async (name: string) =>
    (await merged.read(name))[0]! - (await base.read(name))[0]!
  assert.equal(await changes('model.layers.1.self_attn.q_proj.weight'), 0)
  assert.notEqual(await changes('model.layers.0.self_attn.q_proj.weight'), 0)
  // alpha 8 over a rank of 1
  assert(Math.abs((await changes('model.layers.2.self_attn.v_proj.weight')) - 4) < 1e-6)
})

test('an embedding and a head that are trained as a whole replace the tied matrix', async (t) => {
  const base = randomCheckpoint(TINY)
  const head = new Float32Array(TINY.vocabSize * TINY.hiddenSize).fill(0.25)
  const { merged } = await merge(t, base, {
    config: { modules_to_save: ['lm_head'] },
    change: (tensors) => {
      tensors['base_model.model.lm_head.weight'] = {
        shape: [TINY.vocabSize, TINY.hiddenSize],
        values: head,
      }
    },
  })
  assert.equal(merged.architecture.tiedEmbeddings, false)
  assert.deepEqual(await merged.read('lm_head.weight'), head)
  const embedding = 'model.embed_tokens.weight'
  assert.deepEqual(await merged.read(embedding), await base.read(embedding))
})

test("an adapted embedding's pair is merged the other way round, and leaves the tied head alone", async (t) => {
  const base = randomCheckpoint(TINY)
  const { vocabSize, hiddenSize } = TINY
  const a = Float32Array.from({ length: 4 * vocabSize }, (_, i) => Math.sin(i))
  const b = Float32Array.from({ length: hiddenSize * 4 }, (_, i) => Math.cos(i))
  const { merged } = await merge(t, base, {
    targets: ['q_proj'],
    config: { target_modules: 'all-linear' },
    change: (tensors) => {
      const prefix = 'base_model.model.model.embed_tokens.lora_embedding_'
      tensors[`${prefix}A`] = { shape: [4, vocabSize], values: a }
      tensors[`${prefix}B`] = { shape: [hiddenSize, 4], values: b }
    },
  })
  const plain = await base.read('model.embed_tokens.weight')
  const changed = await merged.read('model.embed_tokens.weight')
  const [token, feature] = [77, 5]
  const added = [0, 1, 2, 3].reduce(
    (sum, k) => sum + b[feature * 4 + k]! * a[k * vocabSize + token]!,
    0,
  )
  const at = token * hiddenSize + feature
  assert(Math.abs(changed[at]! - (plain[at]! + 2 * added)) < 1e-5)
  assert.deepEqual(await merged.read('lm_head.weight'), plain)
})

for (const [title, config, problem] of [
  ['DoRA', { use_dora: true }, /adapter_config\.json: use_dora is true: DoRA also scales/],
  ['trained biases', { bias: 'lora_only' }, /bias is "lora_only", supported is "none"/],
  ['transposed weights', { fan_in_fan_out: true }, /fan_in_fan_out is true/],
  ['PiSSA', { init_lora_weights: 'pissa_niter_16' }, /init_lora_weights is "pissa_niter_16"/],
  ['another method', { peft_type: 'IA3' }, /peft_type is "IA3", supported is "LORA"/],
  ['a pattern for ranks', { rank_pattern: { '.*q_proj': 2 } }, /rank_pattern has "\.\*q_proj"/],
  ['no rank', { r: null }, /r is missing \(a whole number of at least 1\)/],
  ['single tokens', { trainable_token_indices: [1, 2] }, /trainable_token_indices is \[1,2\]/],
  ['a head that is not there', { modules_to_save: ['lm_head'] }, /modules_to_save names lm_head/],
] as const) {
  test(`an adapter with ${title} is refused by the field's name`, async (t) => {
    assert.match(await refusal(t, { config }), problem)
  })
}

const Q0 = 'base_model.model.model.layers.0.self_attn.q_proj.lora_'

for (const [title, change, problem] of [
  [
    'of another shape',
    (tensors) => (tensors[`${Q0}A.weight`] = { shape: [4, 32], values: new Float32Array(128) }),
    /layers\.0\.self_attn\.q_proj\.lora_A\.weight is \[4, 32\] instead of \[4, 64\]/,
  ],
  [
    'without its other half',
    (tensors) => delete tensors[`${Q0}B.weight`],
    /lora_A\.weight has no counterpart/,
  ],
  [
    'that is missing in one layer',
    (tensors) => {
      delete tensors[`${Q0}A.weight`]
      delete tensors[`${Q0}B.weight`]
    },
    /layers\.0\.self_attn\.q_proj\.lora_A\.weight is missing/,
  ],
  [
    'of a layer that the base does not have',
    (tensors) => {
      tensors['base_model.model.model.layers.9.mlp.up_proj.lora_A.weight'] = {
        shape: [4, 64],
        values: new Float32Array(256),
      }
    },
    /layers\.9\.mlp\.up_proj: the base has no such layer/,
  ],
  [
    'of an unreadable type',
    (tensors) =>
      (tensors[`${Q0}A.weight`] = {
        shape: [4, 64],
        values: { dtype: 'I8', bytes: new Uint8Array(256) },
      }),
    /lora_A\.weight is I8, supported are F32, F16, BF16/,
  ],
] satisfies [string, NonNullable<AdapterOptions['change']>, RegExp][]) {
  test(`an adapter with a tensor ${title} is refused by the tensor's name`, async (t) => {
    assert.match(await refusal(t, { change }), problem)
  })
}

test('an adapter saved as a pickle is refused', async (t) => {
  const folder = await makeFolder(t, 'adapter')
  const base = randomCheckpoint(TINY)
  await writeAdapter(folder, base)
  await rename(join(folder, 'adapter_model.safetensors'), join(folder, 'adapter_model.bin'))
  await assert.rejects(openAdapter(folder, base), /adapter_model\.bin is a pickle/)
})
