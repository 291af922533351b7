import assert from 'node:assert/strict'
import test from 'node:test'

import { GatewayError } from '../../../gateway/errors.ts'
import { callerWith, need, SpendBook, startLimits, used } from '../../support/limits.ts'
import { ADMIN } from '../../../gateway/callers/caller.ts'
import type { Caller } from '../../../gateway/callers/caller.ts'
import type { Need } from '../../../gateway/limits/claim.ts'
import type { Limits } from '../../../gateway/limits/limits.ts'

/** A quarter past ten in the evening, UTC. */
const START = Date.UTC(2026, 2, 30, 22, 15)

function clock(start = START) {
  const time = { now: start, read: () => time.now }
  return time
}

async function refusalOf(limits: Limits, caller: Caller, asked: Need = need()) {
  try {
    await limits.admit(caller, asked)
  } catch (error) {
    if (error instanceof GatewayError) return error
    throw error
  }
  throw new assert.AssertionError({ message: 'It was admitted.' })
}

test('a caller over the request limit is told when to come back, and passes then', async (t) => {
  const time = clock()
  const { limits } = await startLimits(t, { now: time.read })
  const caller = callerWith({ requestsPerMinute: 3 })
  for (let i = 0; i < 3; i++) {
    await limits.admit(caller, need())
    time.now += 1_000
  }
  const error = await refusalOf(limits, caller)
  assert.equal(error.code, 'rate_limit_exceeded')
  assert.deepEqual([error.kind.status, error.kind.type], [429, 'requests'])
  assert.equal(error.kind.retryAfterSeconds, 58)
  assert.equal(error.headers['retry-after-ms'], '57100')
  assert.equal(
    error.message,
    "Rate limit reached for guide by the key 'alice' on requests per min (RPM): " +
      'Limit 3, Used 3, Requested 1. Please try again in 57.1s.',
  )
  assert.equal(limits.refused.get('requestsPerMinute'), 1)

  time.now += 57_099
  await refusalOf(limits, caller)
  time.now += 1
  await limits.admit(caller, need())
})

test('headers tell the tightest limit of key and project as OpenAI writes it', async (t) => {
  const time = clock()
  const { limits } = await startLimits(t, { now: time.read })
  const caller = callerWith(
    { requestsPerMinute: 600, tokensPerMinute: 1_000 },
    { requestsPerMinute: 5, tokensPerMinute: 50_000 },
  )
  const { headers } = await limits.admit(caller, need())
  assert.deepEqual(headers, {
    'x-ratelimit-limit-requests': '5',
    'x-ratelimit-remaining-requests': '4',
    'x-ratelimit-reset-requests': '1m0.1s',
    'x-ratelimit-limit-tokens': '1000',
    'x-ratelimit-remaining-tokens': '900',
    'x-ratelimit-reset-tokens': '1m0.1s',
  })
  assert.deepEqual((await limits.admit(ADMIN, need())).headers, {})
})

test('a limit of the project stops all of its keys together', async (t) => {
  const { limits } = await startLimits(t)
  const project = { requestsPerMinute: 2 }
  await limits.admit({ ...callerWith({}, project), id: 'key-1' }, need())
  await limits.admit({ ...callerWith({}, project), id: 'key-2' }, need())
  const error = await refusalOf(limits, { ...callerWith({}, project), id: 'key-3' })
  assert.match(error.message, /by the project 'search'/)
})

test('what was reserved and not used can be used by others', async (t) => {
  const { limits } = await startLimits(t)
  const caller = callerWith({ tokensPerMinute: 150 })
  const first = await limits.admit(caller, need())
  assert.equal((await refusalOf(limits, caller)).kind.type, 'tokens')
  first.settle(used(10, 20), 0)
  const second = await limits.admit(caller, need())
  assert.equal(second.headers['x-ratelimit-remaining-tokens'], '20')
  second.release()
  const third = await limits.admit(caller, need())
  assert.equal(third.headers['x-ratelimit-remaining-tokens'], '20')
})

test('what was used beyond the estimate is charged', async (t) => {
  const { limits } = await startLimits(t)
  const caller = callerWith({ tokensPerMinute: 1_000 })
  const first = await limits.admit(caller, need())
  first.settle(used(700, 90), 0)
  const { headers } = await limits.admit(caller, need())
  assert.equal(headers['x-ratelimit-remaining-tokens'], '110')
})

test('a settlement after its window has passed gives the next one nothing', async (t) => {
  const time = clock()
  const { limits } = await startLimits(t, { now: time.read })
  const caller = callerWith({ tokensPerMinute: 100 })
  const late = await limits.admit(caller, need())
  time.now += 61_000
  await limits.admit(caller, need({ maxTokens: 80 }))
  late.settle(used(1, 1), 0)
  const error = await refusalOf(limits, caller, need({ maxTokens: 20 }))
  assert.match(error.message, /Limit 100, Used 90, Requested 30/)
})

test('a request that is larger than the limit is told so, and not to try again', async (t) => {
  const { limits } = await startLimits(t)
  const error = await refusalOf(
    limits,
    callerWith({ tokensPerMinute: 500 }),
    need({ maxTokens: 1_000 }),
  )
  assert.match(error.message, /^Request too large for guide .* Limit 500, Requested 1010\./)
  assert.equal(error.kind.retryAfterSeconds, undefined)
  assert.equal(error.headers['x-should-retry'], 'false')
})

test('a request that says nothing about its answer fits a small limit too', async (t) => {
  const { limits } = await startLimits(t)
  const small = await limits.admit(callerWith({ tokensPerMinute: 400 }), need({ maxTokens: null }))
  assert.equal(small.headers['x-ratelimit-remaining-tokens'], '290')
})

test('only so many requests run at once, and one that ends makes room', async (t) => {
  const { limits } = await startLimits(t)
  const caller = callerWith({ concurrentRequests: 2 })
  const first = await limits.admit(caller, need())
  await limits.admit(caller, need())
  const error = await refusalOf(limits, caller)
  assert.match(error.message, /on concurrent requests: Limit 2, Used 2, Requested 1/)
  assert.equal(error.kind.retryAfterSeconds, 1)
  first.settle(used(1, 1), 0)
  first.release()
  await limits.admit(caller, need())
  await refusalOf(limits, caller)
})

test('a daily budget in dollars ends a day, and the next one begins anew', async (t) => {
  const time = clock()
  const { limits } = await startLimits(t, { now: time.read })
  const caller = callerWith({ dailyUsd: 1 })
  const price = { input: 1_000, output: 10_000 }
  const asked = need({ price })
  const first = await limits.admit(caller, asked)
  const error = await refusalOf(limits, caller, asked)
  assert.equal(error.code, 'insufficient_quota')
  assert.equal(error.kind.type, 'insufficient_quota')
  assert.equal(error.headers['x-should-retry'], 'false')
  assert.equal(error.kind.retryAfterSeconds, 105 * 60)
  assert.match(error.message, /^You exceeded your current quota, please check your plan/)
  assert.match(
    error.message,
    /daily budget of the key 'alice' is \$1; \$0\.91 are used or reserved/,
  )
  assert.match(error.message, /It resets at 2026-03-31T00:00:00Z\./)

  time.now = Date.UTC(2026, 2, 31, 0, 0, 1)
  await limits.admit(caller, asked)
  first.settle(used(10, 90), 0.91)
  // What began yesterday is yesterday's.
  await refusalOf(limits, caller, asked)
})

test('a request that comes before midnight and is looked at behind it is paid for by the day that its row is in', async (t) => {
  const time = clock()
  const { limits } = await startLimits(t, { now: time.read })
  const caller = callerWith({ dailyTokens: 100 })
  const cameMs = Date.UTC(2026, 2, 30, 23, 59, 59, 999)
  time.now = cameMs + 5
  const asked = need({ prompt: 10, maxTokens: 70 })
  const before = await limits.admit(caller, asked, cameMs)
  await limits.admit(caller, asked)
  before.settle(used(10, 70), 0)
  await assert.rejects(limits.admit(caller, asked, cameMs), { code: 'insufficient_quota' })
})

test('a monthly budget in tokens counts all days of the month', async (t) => {
  const time = clock()
  const { limits } = await startLimits(t, { now: time.read })
  const caller = callerWith({ monthlyTokens: 250 })
  const first = await limits.admit(caller, need())
  first.settle(used(10, 90), 0)
  time.now = Date.UTC(2026, 2, 31, 23, 59)
  await limits.admit(caller, need())
  assert.match((await refusalOf(limits, caller)).message, /monthly budget .* is 250 tokens; 200/)
  time.now = Date.UTC(2026, 3, 1)
  await limits.admit(caller, need())
})

test('a restart forgets nothing that was spent', async (t) => {
  const spend = new SpendBook()
  const caller = callerWith({ dailyUsd: 1 })
  const before = await startLimits(t, { spend })
  const first = await before.limits.admit(caller, need())
  first.settle(used(10, 90), 1)
  const after = await startLimits(t, { spend })
  const error = await refusalOf(after.limits, caller, need({ price: { input: 1, output: 1 } }))
  assert.match(error.message, /\$1; \$1 are used/)
})

test('budgets go on without the table of spend, and say so in the log', async (t) => {
  const { limits, spend, messages } = await startLimits(t)
  spend.isAway = true
  const caller = callerWith({ dailyTokens: 150 })
  await limits.admit(caller, need())
  await refusalOf(limits, caller)
  assert.ok(messages().some((message) => /can't be read/.test(message)))
})

test('nothing is reserved where one of several limits refuses', async (t) => {
  const { limits } = await startLimits(t)
  const caller = callerWith({ requestsPerMinute: 10, dailyTokens: 150 })
  await limits.admit(caller, need())
  for (let i = 0; i < 5; i++) await refusalOf(limits, caller)
  const { headers } = await limits.admit(caller, need({ maxTokens: 1 }))
  assert.equal(headers['x-ratelimit-remaining-requests'], '8')
})

test('the prompt is estimated only where a limit wants to know', async (t) => {
  const { limits } = await startLimits(t)
  const asked = { ...need(), promptTokens: () => assert.fail('It was estimated.') }
  await limits.admit(ADMIN, asked)
  await limits.admit(callerWith({ requestsPerMinute: 5, concurrentRequests: 5 }), asked)
})
