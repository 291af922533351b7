import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import type { EncoderOutput } from '../../../models/encoder.ts'
import type { EncodedText, Rows } from '../../../runtime/encoder/runner.ts'
import { referenceHidden, referenceLogits } from '../../support/encoder-reference.ts'
import { startEncoderRunner } from '../../support/encoder-runner.ts'
import { randomSource } from '../../support/random-checkpoint.ts'
import { randomEncoder, TINY_ENCODER } from '../../support/random-encoder.ts'
import type { MemoryEncoder } from '../../support/random-encoder.ts'

const random = randomSource(11)
const LENGTHS = [7, 64, 1, 12, 40]

function someText(length: number): EncodedText {
  const ids = Array.from({ length }, () =>
    Math.floor(((random() + 1) / 2) * TINY_ENCODER.vocabSize),
  )
  return { ids, segments: ids.map((_, index) => (index > length / 2 ? 1 : 0)) }
}

const withoutSegments = ({ ids }: EncodedText): EncodedText => ({ ids, segments: null })

function rowOf({ values, width, firstRow }: Rows, text: number, token: number): Float32Array {
  const start = (firstRow(text) + token) * width
  return values.slice(start, start + width)
}

function largestDifference(left: ArrayLike<number>, right: ArrayLike<number>): number {
  assert.equal(left.length, right.length)
  let largest = 0
  for (let i = 0; i < right.length; i++) {
    const difference = Math.abs(left[i]! - right[i]!)
    largest = Math.max(largest, Number.isNaN(difference) ? Infinity : difference)
  }
  return largest
}

describe('the fp32 graph equals an independent forward pass', () => {
  for (const [name, checkpoint] of Object.entries<MemoryEncoder>({
    bert: randomEncoder(),
    'roberta, whose positions begin at 2 and which has one kind of segment': randomEncoder({
      architecture: { family: 'roberta', segments: 1 },
      setAside: 2,
    }),
    'distilbert, which has no segments': randomEncoder({
      architecture: { family: 'distilbert', segments: 0 },
    }),
    'the approximate GELU': randomEncoder({ architecture: { activation: 'gelu_tanh' } }),
    ReLU: randomEncoder({ architecture: { activation: 'relu' } }),
  })) {
    test(`of a batch of mixed lengths: ${name}`, async (t) => {
      const runner = await startEncoderRunner(t, checkpoint, 'fp32')
      const hasSegments = checkpoint.architecture.segments > 1
      const texts = LENGTHS.map(someText).map((text) =>
        hasSegments ? text : withoutSegments(text),
      )
      const rows = runner.run(texts)
      for (const [index, text] of texts.entries()) {
        for (const [token, expected] of referenceHidden(checkpoint, text).entries()) {
          const difference = largestDifference(rowOf(rows, index, token), expected)
          assert.ok(difference < 1e-4, `text ${index}, token ${token} differs by ${difference}`)
        }
      }
    })
  }
})

describe('the heads', () => {
  const labels = ['a', 'b', 'c']
  for (const [name, output, reads, dense] of [
    [
      'of texts, as bert has it',
      { kind: 'classify', labels, isMultiLabel: false },
      'first',
      'Tanh',
    ],
    ['of texts, as distilbert', { kind: 'classify', labels, isMultiLabel: false }, 'first', 'Relu'],
    ['of pairs', { kind: 'rerank' }, 'first', 'Tanh'],
    ['of tokens', { kind: 'token-classify', labels }, 'each', null],
  ] as [string, EncoderOutput, 'first' | 'each', 'Tanh' | 'Relu' | null][]) {
    test(`${name} give the logits`, async (t) => {
      const head = { reads, dense, labels: output.kind === 'rerank' ? 1 : 3 }
      const checkpoint = randomEncoder({ head, output })
      const runner = await startEncoderRunner(t, checkpoint, 'fp32')
      const texts = LENGTHS.map(someText)
      const rows = runner.run(texts)
      for (const [index, text] of texts.entries()) {
        for (const [row, expected] of referenceLogits(checkpoint, text).entries()) {
          assert.ok(largestDifference(rowOf(rows, index, row), expected) < 1e-4)
        }
      }
    })
  }
})

test('int8 stays near fp32', async (t) => {
  const checkpoint = randomEncoder()
  const runner = await startEncoderRunner(t, checkpoint, 'int8')
  const text = someText(40)
  const rows = runner.run([text])
  for (const [token, expected] of referenceHidden(checkpoint, text).entries()) {
    const found = rowOf(rows, 0, token)
    let dot = 0
    for (let i = 0; i < expected.length; i++) dot += found[i]! * expected[i]!
    const cosine = dot / Math.sqrt(energy(found) * energy(expected))
    assert.ok(cosine > 0.99, `token ${token}: cosine ${cosine}`)
  }
})

for (const precision of ['fp32', 'int8'] as const) {
  test(`a text's numbers do not depend on what it is computed with, at ${precision}`, async (t) => {
    const runner = await startEncoderRunner(t, randomEncoder(), precision)
    const text = someText(20)
    const alone = rowOf(runner.run([text]), 0, 3)
    for (const others of [[someText(3)], [someText(64), someText(50)]]) {
      const together = rowOf(runner.run([...others, text]), others.length, 3)
      assert.ok(largestDifference(together, alone) < 1e-5)
    }
  })
}

const energy = (values: ArrayLike<number>) =>
  Array.from(values).reduce((sum, value) => sum + value * value, 0)
