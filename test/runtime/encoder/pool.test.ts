import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { Pool } from '../../../runtime/encoder/pool.ts'
import type { Waiting } from '../../../runtime/encoder/pool.ts'

let nth = 0
const text = (owner: string, length: number): Waiting<string> => ({ owner, length, nth: nth++ })
const poolOf = (budget: number, texts: Waiting<string>[]) => {
  const pool = new Pool<string, Waiting<string>>(budget)
  for (const one of texts) pool.add(one)
  return pool
}
const lengths = (batch: Waiting<string>[]) => batch.map(({ length }) => length)

test('texts of like length are computed together, whoever sent them', () => {
  const pool = poolOf(100, [
    ...[10, 90, 11, 12].map((length) => text('a', length)),
    ...[88, 10, 9].map((length) => text('b', length)),
  ])
  assert.deepEqual(lengths(pool.take()), [9, 10, 10, 11, 12])
  assert.deepEqual(lengths(pool.take()), [90])
  assert.deepEqual(lengths(pool.take()), [88])
  assert.deepEqual(pool.take(), [])
})

test('a text that is longer than a batch goes alone', () => {
  const pool = poolOf(10, [text('a', 30), text('a', 30)])
  assert.deepEqual(lengths(pool.take()), [30])
  assert.deepEqual(lengths(pool.take()), [30])
})

test('a short request is not made to wait for a long one', () => {
  const pool = poolOf(
    64,
    Array.from({ length: 200 }, () => text('long', 32)),
  )
  pool.take()
  pool.add(text('short', 4))
  const owners = [...pool.take(), ...pool.take()].map(({ owner }) => owner)
  assert.ok(owners.includes('short'))
})

test('nobody waits for ever, however many short requests come', () => {
  const pool = poolOf(64, [text('patient', 60), text('patient', 60)])
  const owners: string[] = []
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < 32; i++) pool.add(text(`new ${round}-${i}`, 4))
    owners.push(...pool.take().map(({ owner }) => owner))
  }
  assert.equal(owners.filter((owner) => owner === 'patient').length, 2)
})

test('what was added comes out once, in batches that keep to the budget', () => {
  const added = fc.record({
    owner: fc.constantFrom('a', 'b', 'c'),
    length: fc.integer({ min: 1, max: 40 }),
  })
  fc.assert(
    fc.property(fc.array(fc.oneof(added, fc.constant('take'), fc.constant('drop'))), (steps) => {
      const pool = new Pool<string, Waiting<string>>(64)
      const inside = new Set<Waiting<string>>()
      const take = () => {
        const batch = pool.take()
        for (const one of batch) assert.ok(inside.delete(one))
        assert.ok(batch.length <= 1 || batch.length * Math.max(...lengths(batch)) <= 64)
        return batch.length > 0
      }
      for (const step of steps) {
        if (step === 'take') take()
        else if (step === 'drop') {
          pool.remove('a')
          for (const one of inside) if (one.owner === 'a') inside.delete(one)
        } else if (typeof step !== 'string') {
          const one = text(step.owner, step.length)
          pool.add(one)
          inside.add(one)
        }
        pool.check()
      }
      while (take()) pool.check()
      assert.equal(inside.size, 0)
    }),
  )
})
