import assert from 'node:assert/strict'
import { test } from 'node:test'

import { chooseCacheSize } from '../../../runtime/engine/cache-size.ts'

const ONE = { slots: 32, contextTokens: 8192, bytesPerToken: 1000 }
const slotsOf = (count: number, tokens: number) => ({ budgetBytes: count * tokens * 1000 })

test('all slots that were asked for are made where all of them fit', () => {
  const size = chooseCacheSize({ ...ONE, ...slotsOf(40, 8192) })
  assert.deepEqual(size, { slots: 32, capacity: 8192 })
})

test('fewer slots are made where at least eight of them fit', () => {
  const size = chooseCacheSize({ ...ONE, ...slotsOf(12, 8192) })
  assert.deepEqual(size, { slots: 12, capacity: 8192 })
})

test('length is given up so that eight fit, down to 4096 tokens', () => {
  const long = { ...ONE, contextTokens: 32_768 }
  assert.deepEqual(chooseCacheSize({ ...long, ...slotsOf(4, 32_768) }), {
    slots: 8,
    capacity: 16_384,
  })
  assert.deepEqual(chooseCacheSize({ ...ONE, ...slotsOf(3, 4096) }), { slots: 3, capacity: 4096 })
  assert.deepEqual(chooseCacheSize({ ...ONE, contextTokens: 6000, ...slotsOf(2, 4096) }), {
    slots: 2,
    capacity: 4096,
  })
})

test('one slot is enough for who asked for one', () => {
  const size = chooseCacheSize({ ...ONE, slots: 1, ...slotsOf(1, 8192) })
  assert.deepEqual(size, { slots: 1, capacity: 8192 })
})

test('a budget that holds no sequence at all is refused with the figures', () => {
  assert.throws(
    () => chooseCacheSize({ ...ONE, budgetBytes: 2 ** 21 }),
    /4096 tokens takes 4 MiB.*2 MiB/,
  )
})
