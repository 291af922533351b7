// Adapters chosen for each row, on a base whose weights are random: against the base with the adapter merged into it, and
// bit for bit against the same row alone.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { PROCESSOR_PRECISIONS } from '../../../models/manifest.ts'
import type { Precision } from '../../../models/manifest.ts'
import { openAdapter } from '../../../runtime/checkpoint/adapter.ts'
import type { Checkpoint } from '../../../runtime/checkpoint/checkpoint.ts'
import { mergeAdapter } from '../../../runtime/checkpoint/merged.ts'
import type { OnnxRunner } from '../../../runtime/engine/onnx-runner.ts'
import { packAdapter } from '../../../runtime/graph/packed-adapter.ts'
import { readFactors } from '../../../runtime/graph/smoothing-file.ts'
import { writeAdapter } from '../../support/adapter.ts'
import type { AdapterOptions } from '../../support/adapter.ts'
import { makeFolder } from '../../support/folder.ts'
import { randomCheckpoint, TINY, tinyArchitecture } from '../../support/random-checkpoint.ts'
import { referenceLogits } from '../../support/reference.ts'
import { startRunnerIn } from '../../support/runner.ts'

const tokens = (count: number, seed: number) =>
  Array.from({ length: count }, (_, i) => (i * 37 + seed * 101 + 7) % TINY.vocabSize)

async function workshop(t: TestContext, base: Checkpoint, precision: Precision) {
  const { runner, folder } = await startRunnerIn(t, base, precision)
  const { architecture } = base
  const factors = precision === 'int8' ? await readFactors(folder, architecture.layers) : null
  return {
    runner,
    add: async (options: AdapterOptions) => {
      const place = await makeFolder(t, 'adapter')
      await writeAdapter(place, base, options)
      const adapter = await openAdapter(place, base)
      t.after(() => adapter.close())
      const packed = await packAdapter(adapter, architecture, factors)
      await runner.adapters!.open()
      return { adapter, place: runner.adapters!.add(packed), packed }
    },
  }
}

/** logits behind a prompt in pieces, the rest of it in one step of all */
function logitsOf(
  runner: OnnxRunner,
  rows: { prompt: number[]; adapter: number }[],
): Float32Array[] {
  for (const [slot, { prompt, adapter }] of rows.entries()) {
    const cut = Math.floor(prompt.length / 2)
    runner.prefill(slot, prompt.slice(0, cut), 0, 'none', adapter)
    runner.prefill(slot, prompt.slice(cut, -1), cut, 'none', adapter)
  }
  runner.decode(
    rows.map(({ prompt }) => prompt.at(-1)!),
    rows.map(({ prompt }) => prompt.length - 1),
    'logits',
    rows.map(({ adapter }) => adapter),
  )
  return rows.map((_, row) => runner.logits(row).slice())
}

const furthest = (left: ArrayLike<number>, right: ArrayLike<number>) =>
  Math.max(...Array.from(left, (value, i) => Math.abs(value - right[i]!)))

for (const family of ['llama', 'qwen2', 'qwen3'] as const) {
  test(`a row of ${family} through an adapter is what the merged network gives`, async (t) => {
    const base = randomCheckpoint(tinyArchitecture(family))
    const { runner, add } = await workshop(t, base, 'fp32')
    const first = await add({ seed: 3, rank: 4 })
    const second = await add({ seed: 4, rank: 20, targets: ['q_proj', 'v_proj', 'down_proj'] })
    const prompt = tokens(20, 1)
    const [one, two, none] = logitsOf(runner, [
      { prompt, adapter: first.place },
      { prompt, adapter: second.place },
      { prompt, adapter: 0 },
    ])
    for (const [logits, checkpoint] of [
      [one!, mergeAdapter(base, first.adapter)],
      [two!, mergeAdapter(base, second.adapter)],
      [none!, base],
    ] as const) {
      assert(furthest(logits, (await referenceLogits(checkpoint, prompt)).at(-1)!) < 1e-3)
    }
    assert(furthest(one!, none!) > 0.1 && furthest(one!, two!) > 0.1)
  })
}

for (const precision of PROCESSOR_PRECISIONS) {
  test(`at ${precision} a batch that mixes adapters gives each row what it gets alone, bit for bit`, async (t) => {
    const base = randomCheckpoint(TINY, { outlier: 4 })
    const { runner, add } = await workshop(t, base, precision)
    const prompts = [9, 14, 30, 31, 50, 5, 22, 12].map((count, i) => tokens(count, i))
    // Without an adapter in the process: the plain form of the graph.
    const plain = prompts.map((prompt) => logitsOf(runner, [{ prompt, adapter: 0 }])[0]!)
    const places = [0]
    for (const [seed, rank] of [
      [3, 4],
      [4, 20],
      [5, 1],
      [6, 16],
      // more than there was room for at first
      [7, 8],
    ] as const) {
      places.push((await add({ seed, rank })).place)
    }
    assert.deepEqual(places, [0, 1, 2, 3, 4, 5])
    const rows = prompts.map((prompt, i) => ({ prompt, adapter: places[i % places.length]! }))
    const alone = rows.map((row) => logitsOf(runner, [row])[0]!)
    for (const [i, logits] of logitsOf(runner, rows).entries()) {
      assert.deepEqual(logits, alone[i], `row ${i}`)
      if (rows[i]!.adapter === 0)
        assert.deepEqual(logits, plain[i], `row ${i} beside the plain graph`)
      else assert(furthest(logits, plain[i]!) > 0.01)
    }

    const { prompt, adapter } = rows[4]!
    runner.prefill(0, prompt, 0, 'logits', adapter)
    const whole = runner.logits(0).slice()
    for (const cut of [2, 17, 48]) {
      runner.prefill(5, prompt.slice(0, cut), 0, 'none', adapter)
      runner.prefill(5, prompt.slice(cut), cut, 'logits', adapter)
      assert.deepEqual(runner.logits(0), whole, `in pieces of ${cut} and the rest`)
    }
  })
}

test('at int8 an adapter is near what the merged network gives', async (t) => {
  const base = randomCheckpoint(TINY, { outlier: 4 })
  const { runner, add } = await workshop(t, base, 'int8')
  const { adapter, place } = await add({ seed: 3, rank: 4 })
  const prompt = tokens(30, 2)
  const logits = logitsOf(runner, [{ prompt, adapter: place }])[0]!
  const expected = (await referenceLogits(mergeAdapter(base, adapter), prompt)).at(-1)!
  const energy = (values: ArrayLike<number>) =>
    Array.from(values).reduce((sum, value) => sum + value * value, 0)
  const apart = expected.map((value, i) => value - logits[i]!)
  assert(Math.sqrt(energy(apart) / energy(expected)) < 0.08)
})

test("a place that was taken back is another's, and nothing of the first is left in it", async (t) => {
  const base = randomCheckpoint(TINY)
  const { runner, add } = await workshop(t, base, 'fp32')
  const first = await add({ seed: 3, rank: 20 })
  const prompt = tokens(20, 1)
  const before = logitsOf(runner, [{ prompt, adapter: first.place }])[0]!
  runner.adapters!.remove(first.place)
  const second = await add({ seed: 4, rank: 2, targets: ['o_proj'] })
  assert.equal(second.place, first.place)
  const again = runner.adapters!.add(first.packed)
  const [own, other] = logitsOf(runner, [
    { prompt, adapter: again },
    { prompt, adapter: second.place },
  ])
  assert.deepEqual(own, before)
  const merged = mergeAdapter(base, second.adapter)
  assert(furthest(other!, (await referenceLogits(merged, prompt)).at(-1)!) < 1e-3)
})

test('an adapter of what only merging can change is refused for it', async (t) => {
  const { add } = await workshop(t, randomCheckpoint(TINY), 'fp32')
  const config = { target_modules: 'all-linear' }
  const pair = (tensors: Record<string, unknown>) => {
    const prefix = 'base_model.model.lm_head.lora_'
    tensors[`${prefix}A.weight`] = { shape: [4, 64], values: new Float32Array(256) }
    tensors[`${prefix}B.weight`] = { shape: [300, 4], values: new Float32Array(1200) }
  }
  await assert.rejects(
    add({ config, change: pair }),
    /changes lm_head\.weight; .* import it merged/,
  )
  await assert.rejects(add({ rank: 64 }), /ranks of .*qkv are 192 together; at most 128/)
})
