// On which hosts a version is loaded, of what they say.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { findShortage, place, roomiest } from '../../../gateway/residency/placement.ts'
import type { Offer } from '../../../gateway/residency/placement.ts'
import type { Fit } from '../../../runtime/protocol.ts'

function offer(host: string, fit: Partial<Fit>, device: 'cpu' | 'cuda' = 'cpu'): Offer<string> {
  const fits = { fits: true, isLoaded: false, needBytes: 100, freeBytes: 500, evicts: [] }
  return { host, device, fit: { version: 'a@1', holders: [], ...fits, ...fit } }
}

test('by default it goes to all that have room, and nobody is pushed out for it', () => {
  const offers = [
    offer('roomy', {}),
    offer('tight', { evicts: ['old@1'], freeBytes: 50 }),
    offer('full', { fits: false, freeBytes: 10 }),
    offer('has it', { isLoaded: true }),
  ]
  const { present, chosen, mayEvict } = place(offers, null)
  assert.deepEqual([present, chosen, mayEvict], [['has it'], ['roomy'], false])
})

test('accelerators come before processors, and those with more room before others', () => {
  const offers = [
    offer('small', { freeBytes: 200 }),
    offer('large', { freeBytes: 900 }),
    offer('accelerated', { freeBytes: 150 }, 'cuda'),
  ]
  assert.deepEqual(place(offers, null).chosen, ['accelerated', 'large', 'small'])
  assert.deepEqual(place(offers, 1).chosen, ['accelerated'])
  assert.deepEqual(place([...offers, offer('has it', { isLoaded: true })], 2).chosen, [
    'accelerated',
  ])
})

test('only where no host has room is somebody pushed out, on one host', () => {
  const tight = [
    offer('b', { evicts: ['old@1'], freeBytes: 20 }),
    offer('a', { evicts: ['old@1'], freeBytes: 60 }),
  ]
  assert.deepEqual(place(tight, null), { present: [], chosen: ['a'], mayEvict: true })
  assert.deepEqual(place([...tight, offer('has it', { isLoaded: true })], null).chosen, [])
})

test('where it fits nowhere, nothing is chosen, and the one that comes nearest tells why', () => {
  const full = [
    offer('b', { fits: false, freeBytes: 20 }),
    offer('a', { fits: false, freeBytes: 60 }),
  ]
  assert.deepEqual(place(full, null), { present: [], chosen: [], mayEvict: false })
  assert.equal(roomiest(full)?.host, 'a')
})

test('versions fit together where each finds a host, the idle ones of which may go', () => {
  const on = (room: [number, number], needBytes: number) => [
    offer('a', { needBytes, freeBytes: room[0] }),
    offer('b', { needBytes, freeBytes: room[1] }),
  ]
  assert.equal(findShortage([on([100, 100], 100), on([100, 100], 100)]), null)
  assert.deepEqual(findShortage([on([150, 90], 100), on([150, 90], 100)]), {
    needBytes: 200,
    freeBytes: 150,
  })
  const idle = [{ version: 'old@1', bytes: 60, why: 'idle' as const }]
  const tight = offer('a', { needBytes: 100, freeBytes: 50, holders: idle })
  assert.equal(findShortage([[tight]]), null)
  const wanted = [{ version: 'old@1', bytes: 60, why: 'wanted' as const }]
  assert.notEqual(findShortage([[offer('a', { freeBytes: 50, holders: wanted })]]), null)
  assert.equal(findShortage([[offer('a', { isLoaded: true, freeBytes: 0 })]]), null)
})
