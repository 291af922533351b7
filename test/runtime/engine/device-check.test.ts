// An engine on a GPU finds out at its start whether that computes what it should.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { checkDevice } from '../../../runtime/engine/device-check.ts'
import { randomCheckpoint, TINY } from '../../support/random-checkpoint.ts'
import { startRunner } from '../../support/runner.ts'

for (const precision of ['fp32', 'fp16', 'int4-fp16'] as const) {
  test(`a device that computes ${precision} rightly passes`, async (t) => {
    const runner = await startRunner(t, randomCheckpoint(TINY), precision, { slots: 1 })
    assert.equal(checkDevice(runner), null)
  })
}

test('one whose kernels for prompts are wrong does not', async (t) => {
  const runner = await startRunner(t, randomCheckpoint(TINY), 'fp16')
  const prefill = runner.prefill.bind(runner)
  // As of a kernel that mixes up rows behind its first tile.
  runner.prefill = (slot, tokens, past, output) => {
    const ids = Array.from(tokens)
    prefill(
      slot,
      ids.length > 16 ? [...ids.slice(0, 16), ...ids.slice(16).toReversed()] : ids,
      past,
      output,
    )
  }
  assert.match(
    checkDevice(runner) ?? '',
    /a prompt gives other logits at once than token by token \(\d\.\d+ of/,
  )
})

test('nor does one that gives no numbers', async (t) => {
  const checkpoint = randomCheckpoint(TINY)
  checkpoint.weights.get('model.norm.weight')![0] = Infinity
  const runner = await startRunner(t, checkpoint, 'fp32')
  assert.match(checkDevice(runner) ?? '', /NaN/)
})
