import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Backoff } from '../../../runtime/host/backoff.ts'

test('the first restart is immediate, and each one after it waits twice as long, up to 30 s', () => {
  const backoff = new Backoff()
  const delays = Array.from({ length: 10 }, () => backoff.next())
  assert.deepEqual(delays, [0, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000])
  backoff.reset()
  assert.equal(backoff.next(), 0)
})
