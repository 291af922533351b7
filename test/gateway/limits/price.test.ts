import assert from 'node:assert/strict'
import test from 'node:test'

import { costOf } from '../../../gateway/limits/price.ts'

const price = { input: 2.5, cachedInput: 1.25, output: 10 }
const usage = { promptTokens: 1_000_000, cachedTokens: 400_000, completionTokens: 200_000 }

test('prompt, cached and generated tokens each have their price', () => {
  assert.equal(costOf(usage, price), 0.6 * 2.5 + 0.4 * 1.25 + 0.2 * 10)
})

test('cached tokens cost what others do where nothing else was said', () => {
  assert.equal(costOf(usage, { input: 2.5, output: 10 }), 2.5 + 2)
})

test('what is paid by time costs its seconds', () => {
  assert.equal(costOf({ ...usage, seconds: 3 }, { input: 0, output: 0, second: 0.5 }), 1.5)
})

test('without a price nothing is charged', () => {
  assert.equal(costOf(usage, null), 0)
})

test('a cache that is larger than its prompt earns nobody money', () => {
  const odd = { promptTokens: 1_000_000, cachedTokens: 5_000_000, completionTokens: 0 }
  assert.equal(costOf(odd, { input: 2, cachedInput: 1, output: 0 }), 1)
})
