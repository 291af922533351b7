// Whatever callers do: nothing is ever admitted beyond a limit, and nothing is given back twice.

import assert from 'node:assert/strict'
import test from 'node:test'

import fc from 'fast-check'

import { GatewayError } from '../../../gateway/errors.ts'
import { SlidingWindow } from '../../../gateway/limits/sliding-window.ts'
import { writeDuration } from '../../../gateway/limits/words.ts'
import { callerWith, need, startLimits, used } from '../../support/limits.ts'
import type { Reservation } from '../../../gateway/limits/limits.ts'

const MINUTE_MS = 60_000

test('no stretch of a minute admits more than the limit, wherever it begins', async (t) => {
  const steps = fc.array(fc.tuple(fc.nat(3_000), fc.integer({ min: 1, max: 40 })), {
    minLength: 50,
    maxLength: 300,
  })
  await fc.assert(
    fc.asyncProperty(steps, fc.integer({ min: 1, max: 60 }), async (steps, limit) => {
      let now = Date.UTC(2026, 0, 1)
      const { limits } = await startLimits(t, { now: () => now })
      const admittedMs: number[] = []
      for (const [waitMs, burst] of steps) {
        now += waitMs
        for (let i = 0; i < burst; i++) {
          const isIn = await limits.admit(callerWith({ requestsPerMinute: limit }), need()).then(
            () => true,
            () => false,
          )
          if (isIn) admittedMs.push(now)
        }
      }
      for (const [index, fromMs] of admittedMs.entries()) {
        const within = admittedMs.slice(index).filter((at) => at < fromMs + MINUTE_MS)
        assert.ok(within.length <= limit, `${within.length} of ${limit}`)
      }
    }),
    { numRuns: 25 },
  )
})

test('at a steady load a minute admits the limit, within a hundredth', async (t) => {
  let now = Date.UTC(2026, 0, 1)
  const { limits } = await startLimits(t, { now: () => now })
  const caller = callerWith({ requestsPerMinute: 600 })
  const admitted = [0, 0, 0, 0, 0]
  for (let minute = 0; minute < 5; minute++) {
    for (let i = 0; i < 1_250; i++) {
      now += MINUTE_MS / 1_250
      const isIn = await limits.admit(caller, need()).then(
        () => 1,
        () => 0,
      )
      admitted[minute]! += isIn
    }
  }
  for (const count of admitted) assert.ok(count >= 594 && count <= 606, admitted.join(' '))
})

test('tokens and dollars in use are never negative, never beyond the limit, and are none in the end', async (t) => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('ask' as const), maxTokens: fc.nat(400), waitMs: fc.nat(5_000) }),
    fc.record({ do: fc.constant('settle' as const), place: fc.nat(20), tokens: fc.nat(400) }),
    fc.record({ do: fc.constant('release' as const), place: fc.nat(20) }),
  )
  const limit = 1_000
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 150 }), async (steps) => {
      let now = Date.UTC(2026, 0, 1, 12)
      const { limits } = await startLimits(t, { now: () => now })
      const caller = callerWith({ tokensPerMinute: limit, concurrentRequests: 4, dailyUsd: 1 })
      const open: { reservation: Reservation; reserved: number }[] = []
      let spentTokens = 0
      for (const step of steps) {
        if (step.do === 'ask') {
          now += step.waitMs
          const price = { input: 100, output: 100 }
          const asked = need({ prompt: 0, maxTokens: step.maxTokens, price })
          try {
            const reservation = await limits.admit(caller, asked)
            open.push({ reservation, reserved: step.maxTokens })
            const remaining = Number(reservation.headers['x-ratelimit-remaining-tokens'])
            assert.ok(remaining >= 0 && remaining <= limit)
            assert.ok(open.length <= 4)
            const reserved = open.reduce((sum, { reserved }) => sum + reserved, 0)
            assert.ok(spentTokens + reserved <= 10_000)
          } catch (error) {
            assert.ok(error instanceof GatewayError, String(error))
          }
          continue
        }
        const [ended] = open.splice(step.place, 1)
        if (!ended) continue
        if (step.do === 'release') {
          ended.reservation.release()
        } else {
          // A settlement is never more than was reserved, so that the limit holds for what was used too.
          const tokens = Math.min(step.tokens, ended.reserved)
          ended.reservation.settle(used(0, tokens), tokens / 10_000)
          spentTokens += tokens
        }
        ended.reservation.release()
      }
      for (const { reservation } of open) reservation.release()
      now += MINUTE_MS + 100
      const { headers } = await limits.admit(
        callerWith({ tokensPerMinute: limit, concurrentRequests: 1 }),
        need({ prompt: 0, maxTokens: 0 }),
      )
      assert.equal(headers['x-ratelimit-remaining-tokens'], String(limit))
    }),
    { numRuns: 60 },
  )
})

test('a clock that is set back takes nothing away and gives nothing back', () => {
  const window = new SlidingWindow(MINUTE_MS)
  window.add(5, 1_000_000)
  window.add(5, 900_000)
  assert.equal(window.used(900_000), 10)
  assert.equal(window.used(1_060_099), 10)
  assert.equal(window.used(1_060_100), 0)
})

test('durations are written as Go writes them', () => {
  const written = [0, 12, 999.2, 1_000, 1_500, 59_999, 60_000, 360_000, 3_600_000].map(
    writeDuration,
  )
  assert.deepEqual(written, ['0s', '12ms', '1s', '1s', '1.5s', '59.999s', '1m0s', '6m0s', '1h0m0s'])
})
