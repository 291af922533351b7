import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, test } from 'node:test'

import { FAMILIES, PROCESSOR_PRECISIONS } from '../../../models/manifest.ts'
import type { Runner } from '../../../runtime/engine/runner.ts'
import {
  randomCheckpoint,
  randomSource,
  TINY,
  tinyArchitecture,
} from '../../support/random-checkpoint.ts'
import { referenceLogits } from '../../support/reference.ts'
import { startRunner } from '../../support/runner.ts'

const random = randomSource(7)
const someTokens = (count: number) =>
  Array.from({ length: count }, () => Math.floor(((random() + 1) / 2) * (TINY.vocabSize - 1)))

function largestDifference(left: ArrayLike<number>, right: ArrayLike<number>): number {
  let largest = 0
  for (let i = 0; i < right.length; i++) {
    largest = Math.max(largest, Math.abs(left[i]! - right[i]!))
  }
  return largest
}

/** Computes all but the last token as a prompt and the last one as a decode step of slot 0. */
function decodeLast(runner: Runner, tokens: number[], slot = 0): void {
  runner.prefill(slot, tokens.slice(0, -1), 0, 'none')
}

describe('the fp32 graph equals an independent forward pass', () => {
  for (const family of FAMILIES) {
    test(`for ${family}, as a prompt and step by step`, async (t) => {
      const checkpoint = randomCheckpoint(tinyArchitecture(family))
      const runner = await startRunner(t, checkpoint, 'fp32')
      const tokens = someTokens(40)
      const expected = await referenceLogits(checkpoint, tokens)

      runner.prefill(3, tokens, 0, 'logits')
      assert.ok(largestDifference(runner.logits(0), expected.at(-1)!) < 1e-3, 'whole prompt')

      runner.prefill(0, tokens.slice(0, 10), 0, 'none')
      runner.prefill(0, tokens.slice(10, 30), 10, 'none')
      for (let position = 30; position < 40; position++) {
        runner.decode([tokens[position]!], [position], 'logits')
        const difference = largestDifference(runner.logits(0), expected[position]!)
        assert.ok(difference < 1e-3, `position ${position} differs by ${difference}`)
      }
    })
  }

  test('with linearly scaled positions', async (t) => {
    const architecture = { ...TINY, ropeScaling: { type: 'linear' as const, factor: 4 } }
    const checkpoint = randomCheckpoint(architecture)
    const runner = await startRunner(t, checkpoint, 'fp32')
    const tokens = someTokens(30)
    runner.prefill(0, tokens, 0, 'logits')
    const expected = await referenceLogits(checkpoint, tokens)
    assert.ok(largestDifference(runner.logits(0), expected.at(-1)!) < 1e-3)
  })
})

describe('quantised graphs stay near the fp32 one', () => {
  for (const [precision, most] of [
    ['int8', 0.08],
    ['int4', 0.35],
  ] as const) {
    test(`${precision}, with features that stand out`, async (t) => {
      const checkpoint = randomCheckpoint(TINY, { outlier: 4 })
      const runner = await startRunner(t, checkpoint, precision)
      const tokens = someTokens(40)
      runner.prefill(0, tokens, 0, 'logits')
      const expected = (await referenceLogits(checkpoint, tokens)).at(-1)!
      const share = apart(runner.logits(0), expected)
      assert.ok(share < most, `error is ${share} of the logits' size, ${most} is allowed`)
    })
  }

  test('int8 bears a layer that adds nothing', async (t) => {
    const checkpoint = randomCheckpoint(TINY)
    checkpoint.weights.get('model.layers.1.mlp.up_proj.weight')!.fill(0)
    checkpoint.weights.get('model.layers.1.self_attn.v_proj.weight')!.fill(0)
    const tokens = someTokens(40)
    const expected = (await referenceLogits(checkpoint, tokens)).at(-1)!
    const runner = await startRunner(t, checkpoint, 'int8')
    runner.prefill(0, tokens, 0, 'logits')
    assert.ok(apart(runner.logits(0), expected) < 0.08)
  })

  test('int4 is exact for weights that were affine 4-bit numbers before', async (t) => {
    const checkpoint = randomCheckpoint(TINY)
    for (const [name, values] of checkpoint.weights) {
      if (!name.includes('_proj')) continue
      for (let start = 0; start < values.length; start += 32) {
        const block = values.subarray(start, start + 32)
        const lowest = Math.min(...block)
        const step = (Math.max(...block) - lowest) / 15
        // the highest level stays unused, as it does in half of the blocks of real files
        for (let i = 0; i < 32; i++) {
          block[i] = lowest + step * Math.min(14, Math.round((block[i]! - lowest) / step))
        }
      }
    }
    const tokens = someTokens(40)
    const expected = (await referenceLogits(checkpoint, tokens)).at(-1)!
    const runner = await startRunner(t, checkpoint, 'int4')
    runner.prefill(0, tokens, 0, 'logits')
    assert.ok(apart(runner.logits(0), expected) < 0.03)
  })
})

describe('half precision computes what single precision does', () => {
  for (const family of FAMILIES) {
    test(`for ${family}, as a prompt and step by step`, async (t) => {
      const checkpoint = randomCheckpoint(tinyArchitecture(family), { outlier: 4 })
      const runner = await startRunner(t, checkpoint, 'fp16')
      const tokens = someTokens(40)
      const expected = await referenceLogits(checkpoint, tokens)
      runner.prefill(0, tokens.slice(0, 38), 0, 'none')
      for (const position of [38, 39]) {
        runner.decode([tokens[position]!], [position], 'logits')
        assert.ok(apart(runner.logits(0), expected[position]!) < 0.01)
      }
    })
  }

  test('of int4 weights, tied to the embedding or not', async (t) => {
    for (const tiedEmbeddings of [true, false]) {
      const checkpoint = randomCheckpoint({ ...TINY, tiedEmbeddings })
      const tokens = someTokens(40)
      const [half, single] = [
        await startRunner(t, checkpoint, 'int4-fp16'),
        await startRunner(t, checkpoint, 'int4'),
      ]
      for (const runner of [half, single]) runner.prefill(0, tokens, 0, 'logits')
      // What int4 quantises of activations is the most of it.
      assert.ok(apart(half.logits(0), single.logits(0)) < 0.06)
    }
  })

  test('but not of weights that it can not hold', async (t) => {
    const checkpoint = randomCheckpoint(TINY)
    checkpoint.weights.get('model.norm.weight')![7] = 70_000
    await assert.rejects(
      startRunner(t, checkpoint, 'fp16'),
      /model\.norm\.weight holds 70000, and half precision ends at 65504/,
    )
  })
})

describe('a row depends on nothing but its own tokens', () => {
  // At int4-fp16 the processor has another kernel for one row than for several; a GPU's are not here to be asked.
  for (const precision of [...PROCESSOR_PRECISIONS, 'fp16'] as const) {
    test(`${precision}: in a ragged batch, in another slot, in chunks`, async (t) => {
      const runner = await startRunner(t, randomCheckpoint(TINY, { outlier: 10 }), precision)
      const sequences = Array.from({ length: 8 }, (_, i) => someTokens(5 + 5 * i))
      const alone = sequences.map((tokens) => {
        decodeLast(runner, tokens)
        runner.decode([tokens.at(-1)!], [tokens.length - 1], 'logits')
        return runner.logits(0).slice()
      })

      for (const [slot, tokens] of sequences.entries()) decodeLast(runner, tokens, slot)
      runner.decode(
        sequences.map((tokens) => tokens.at(-1)!),
        sequences.map((tokens) => tokens.length - 1),
        'logits',
      )
      for (const [slot, expected] of alone.entries()) {
        assert.deepEqual(runner.logits(slot), expected, `slot ${slot} of the batch`)
      }

      const prompt = sequences[7]!
      runner.prefill(0, prompt, 0, 'logits')
      const whole = runner.logits(0).slice()
      runner.prefill(5, prompt.slice(0, 16), 0, 'none')
      runner.prefill(5, prompt.slice(16), 16, 'logits')
      assert.deepEqual(runner.logits(0), whole, 'in chunks')
    })
  }
})

describe('a runner', () => {
  test('copies the start of a slot and continues there', async (t) => {
    const runner = await startRunner(t, randomCheckpoint(TINY), 'fp32')
    const tokens = someTokens(20)
    runner.prefill(2, tokens, 0, 'none')
    runner.copy(2, 6, 12)
    runner.prefill(6, tokens.slice(12), 12, 'logits')
    const copied = runner.logits(0).slice()
    runner.prefill(0, tokens, 0, 'logits')
    assert.deepEqual(runner.logits(0), copied)
  })

  test('gives candidates best first, with the log-probabilities of the whole row', async (t) => {
    const runner = await startRunner(t, randomCheckpoint(TINY), 'fp32')
    runner.prefill(0, someTokens(9), 0, 'logits')
    const logits = [...runner.logits(0)]
    const total = Math.log(logits.reduce((sum, value) => sum + Math.exp(value), 0))
    const order = logits.map((_, id) => id).toSorted((a, b) => logits[b]! - logits[a]!)
    assert.deepEqual([...runner.candidateIds(0)], order.slice(0, 64))
    for (const [rank, logprob] of runner.candidateLogprobs(0).entries()) {
      assert.ok(Math.abs(logprob - (logits[order[rank]!]! - total)) < 1e-4)
    }
  })

  test('refuses more tokens than a slot or a call holds', async (t) => {
    const runner = await startRunner(t, randomCheckpoint(TINY), 'fp32')
    assert.throws(() => runner.prefill(0, someTokens(65), 0, 'none'), /64 at once/)
    assert.throws(() => runner.prefill(0, someTokens(9), 120, 'none'), /slot of 128/)
    assert.throws(() => runner.decode([1], [128], 'none'), /slot 0 is full/)
  })

  test('reports nothing to the maker of ONNX Runtime', async (t) => {
    await startRunner(t, randomCheckpoint(TINY), 'fp32')
    // what the library's reporter leaves behind as soon as it starts
    assert.ok(!existsSync(path.join(tmpdir(), `mat-debug-${process.pid}.log`)))
    assert.equal(process.env['ORT_DISABLE_TELEMETRY'], '1')
  })
})

/** how far two rows are apart, as a share of the second one's size */
function apart(row: ArrayLike<number>, expected: ArrayLike<number>): number {
  const values = Float64Array.from(expected)
  return Math.sqrt(energy(values.map((value, i) => value - row[i]!)) / energy(values))
}

function energy(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value * value, 0)
}
