// Who goes so that a version fits.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { findRoom } from '../../../runtime/host/room.ts'
import { randomSource } from '../../support/random-checkpoint.ts'
import type { Resident, RoomAsk } from '../../../runtime/host/room.ts'

const ONE = 100

function resident(version: string, more: Partial<Resident> = {}): Resident {
  return { version, bytes: ONE, why: 'idle', isLeaving: false, lastUsedMs: 0, ...more }
}

function ask(residents: Resident[], more: Partial<RoomAsk> = {}): RoomAsk {
  return {
    needBytes: ONE,
    fixedBytes: ONE / 2,
    budgetBytes: 3 * ONE,
    machineFreeBytes: 10 * ONE,
    residents,
    mayEvict: true,
    ...more,
  }
}

test('nobody goes while there is room', () => {
  assert.deepEqual(findRoom(ask([resident('a'), resident('b')])), {
    fits: true,
    freeBytes: ONE,
    evicts: [],
  })
})

test('the least recently used goes, and no more than have to', () => {
  const residents = [
    resident('late', { lastUsedMs: 3 }),
    resident('early', { lastUsedMs: 1 }),
    resident('wanted', { why: 'wanted' }),
  ]
  assert.deepEqual(findRoom(ask(residents)).evicts, ['early'])
  assert.deepEqual(findRoom(ask(residents, { needBytes: 2 * ONE })).evicts, ['early', 'late'])
  assert.deepEqual(findRoom(ask(residents, { needBytes: 2 * ONE + 1 })).fits, false)
  assert.deepEqual(findRoom(ask(residents, { mayEvict: false })).fits, false)
})

test('a small one is spared where a larger one has to go anyway', () => {
  const residents = [
    resident('small', { bytes: 10, lastUsedMs: 1 }),
    resident('large', { bytes: 280, lastUsedMs: 2 }),
  ]
  assert.deepEqual(findRoom(ask(residents, { needBytes: 150 })).evicts, ['large'])
})

test('one that is being ended already goes before any other, even where nobody may be pushed out', () => {
  const residents = [
    resident('idle', { lastUsedMs: 1 }),
    resident('leaving', { why: 'in_use', isLeaving: true, lastUsedMs: 9 }),
    resident('third', { why: 'in_use' }),
  ]
  assert.deepEqual(findRoom(ask(residents)).evicts, ['leaving'])
  assert.deepEqual(findRoom(ask(residents, { mayEvict: false })).evicts, ['leaving'])
})

test('a budget does not help where the machine has nothing left; its KV cache may come later', () => {
  const nearlyFull = ask([], { machineFreeBytes: ONE / 2, needBytes: 2 * ONE })
  assert.equal(findRoom(nearlyFull).fits, true)
  assert.deepEqual(findRoom({ ...nearlyFull, machineFreeBytes: ONE / 2 - 1 }), {
    fits: false,
    freeBytes: ONE / 2 - 1,
    evicts: [],
  })
})

test('whatever is there, who is wanted or at work stays, and what fits is within the budget', () => {
  const random = randomSource(7)
  const whole = (least: number, most: number) =>
    least + Math.floor(((random() + 1) / 2) * (most - least))
  for (let round = 0; round < 2_000; round++) {
    const residents = Array.from({ length: whole(0, 7) }, (_, n) =>
      resident(`v${n}`, {
        bytes: whole(1, 200),
        why: (['idle', 'wanted', 'in_use'] as const)[whole(0, 3)]!,
        lastUsedMs: whole(0, 5),
      }),
    )
    const asked = ask(residents, { needBytes: whole(1, 400), budgetBytes: whole(1, 800) })
    const { fits, evicts } = findRoom(asked)
    const gone = residents.filter(({ version }) => evicts.includes(version))
    assert.ok(gone.every(({ why }) => why === 'idle'))
    const left = (leaving: Resident[]) =>
      asked.budgetBytes -
      residents.filter((one) => !leaving.includes(one)).reduce((sum, { bytes }) => sum + bytes, 0)
    if (!fits) {
      assert.deepEqual(evicts, [])
      assert.ok(left(residents.filter(({ why }) => why === 'idle')) < asked.needBytes)
      continue
    }
    assert.ok(left(gone) >= asked.needBytes)
    for (const one of gone) {
      assert.ok(left(gone.filter((other) => other !== one)) < asked.needBytes, 'nobody in vain')
    }
  }
})
