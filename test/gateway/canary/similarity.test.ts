import assert from 'node:assert/strict'
import { test } from 'node:test'

import { similarityOf } from '../../../gateway/canary/shadow/similarity.ts'

const rounded = async (one: string, other: string) =>
  Number((await similarityOf(one, other)).toFixed(4))

test('similarity is chrF, reckoned by hand', async () => {
  // abc, abd: 2 of 3 characters, 1 of 2 pairs, 0 of 1 triple
  assert.equal(await rounded('abc', 'abd'), Number(((2 / 3 + 1 / 2) / 3).toFixed(4)))
  // ab, abab: 2 of 2 and of 4; 1 of 1 and of 3; no longer pieces in both
  const [precision, recall] = [1, (2 / 4 + 1 / 3) / 2]
  const expected = (2 * precision * recall) / (precision + recall)
  assert.equal(await rounded('ab', 'abab'), Number(expected.toFixed(4)))
})

test('equal answers are at 1, answers that share nothing at 0', async () => {
  assert.equal(await similarityOf('The clinic opens at nine.', 'The clinic opens at nine.'), 1)
  assert.equal(await similarityOf('a  b\nc', 'abc'), 1, 'space does not count')
  assert.equal(await similarityOf('', ''), 1)
  assert.equal(await similarityOf('', 'words'), 0)
  assert.equal(await similarityOf('abc', 'xyz'), 0)
})

test('it is the same both ways round, and falls with every other word', async () => {
  const text = 'The clinic opens at nine on weekdays.'
  const near = 'The clinic opens at ten on weekdays.'
  const far = 'Call us tomorrow, we are closed now.'
  assert.equal(await similarityOf(text, near), await similarityOf(near, text))
  assert.ok((await similarityOf(text, near)) > 0.7)
  assert.ok((await similarityOf(text, far)) < 0.3)
})

test('characters beyond the basic plane are characters', async () => {
  assert.equal(await similarityOf('😀😁', '😀😁'), 1)
  // Their first halves are equal; they are not.
  assert.equal(await similarityOf('😀', '😁'), 0)
})

test('a long answer does not hold anybody else up', async () => {
  const long = Array.from({ length: 40_000 }, (_, i) => String.fromCharCode(97 + ((i * 7) % 26)))
  let ticks = 0
  const ticking = setImmediate(function tick() {
    ticks++
    if (ticks < 3) setImmediate(tick)
  })
  assert.equal(await similarityOf(long.join(''), long.join('')), 1)
  clearImmediate(ticking)
  assert.ok(ticks >= 3, 'others had their turn meanwhile')
})
