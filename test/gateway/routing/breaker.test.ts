import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Breaker } from '../../../gateway/routing/breaker.ts'

function start() {
  const clock = { ms: 0 }
  return { clock, breaker: new Breaker(() => clock.ms) }
}

function fail(breaker: Breaker, times: number) {
  for (let i = 0; i < times; i++) {
    breaker.asked()
    breaker.failed()
  }
}

test('five failures in a row open it, for five seconds', () => {
  const { clock, breaker } = start()
  fail(breaker, 4)
  assert.equal(breaker.allows, true)
  fail(breaker, 1)
  assert.deepEqual([breaker.state, breaker.allows], ['open', false])
  clock.ms = 4_999
  assert.equal(breaker.allows, false)
  clock.ms = 5_000
  assert.deepEqual([breaker.state, breaker.allows], ['half_open', true])
})

test('half open, one request at a time tries; a success closes it', () => {
  const { clock, breaker } = start()
  fail(breaker, 5)
  clock.ms = 5_000
  breaker.asked()
  assert.equal(breaker.allows, false)
  breaker.undecided()
  assert.equal(breaker.allows, true)
  breaker.asked()
  breaker.succeeded()
  assert.deepEqual([breaker.state, breaker.allows], ['closed', true])
})

test('each failed try doubles the time, to two minutes', () => {
  const { clock, breaker } = start()
  fail(breaker, 5)
  for (const ms of [10_000, 20_000, 40_000, 80_000, 120_000, 120_000]) {
    clock.ms = breaker.retryAtMs
    fail(breaker, 1)
    assert.equal(breaker.retryAtMs - clock.ms, ms)
  }
})

test('half of many requests failing opens it too', () => {
  const { breaker } = start()
  for (let i = 0; i < 10; i++) {
    breaker.succeeded()
    breaker.failed()
  }
  assert.equal(breaker.state, 'open')
})

test('a target that asks to be left alone is, without having failed', () => {
  const { clock, breaker } = start()
  breaker.pause(30_000)
  assert.equal(breaker.allows, false)
  clock.ms = 30_000
  breaker.asked()
  breaker.succeeded()
  assert.equal(breaker.state, 'closed')
})
