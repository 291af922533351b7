import assert from 'node:assert/strict'
import { test } from 'node:test'

import { percent, readShare, readShares } from '../../cli/shares.ts'

test('a share is a percentage with its sign, or a fraction of 1', () => {
  const shares = ['5%', '0.05', '.05', '5 %', '0.5%', '100%', '1.0', '1%', '0', '0%'].map(readShare)
  assert.deepEqual(shares, [0.05, 0.05, 0.05, 0.05, 0.005, 1, 1, 0.01, 0, 0])
})

test('a number that could be either is refused, with both ways to write it', () => {
  const refusals = ['5', '1', '100'].map((text) => {
    try {
      return readShare(text)
    } catch (error) {
      return (error as Error).message
    }
  })
  assert.deepEqual(refusals, [
    '5 of what? Write 5%, or 0.05 of 1.',
    '1 of what? Write 1%, or 0.01 of 1.',
    '100 of what? Write 100%, or 1.0 of 1.',
  ])
})

test('what is no share is refused', () => {
  for (const text of ['', '%', '.', '-5%', '101%', '1.5', '250', '5%%', '5e-2', 'all']) {
    assert.throws(() => readShare(text), /Allowed is a percentage with its sign/, text)
  }
})

test('shares that follow each other may end with 1', () => {
  assert.deepEqual(readShares('25%, 50%,100%'), [0.25, 0.5, 1])
  assert.deepEqual(readShares('0.25,0.5,1'), [0.25, 0.5, 1])
  assert.throws(() => readShares('25,50,100'), /25 of what\?/)
  assert.throws(() => readShares('1,50%,100%'), /1 of what\?/)
})

test('a share is told as a percentage', () => {
  assert.deepEqual([0.05, 1 / 3, 0.0001, 1].map(percent), ['5%', '33.33%', '0.01%', '100%'])
})
