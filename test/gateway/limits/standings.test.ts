// What metrics tell of callers' limits comes from the counters' own answers.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { callerWith, need, startLimits, used } from '../../support/limits.ts'

test('a caller stands where its last request left it, until the window or the day is over', async (t) => {
  let now = Date.parse('2026-03-01T23:00:00.000Z')
  const { limits } = await startLimits(t, { now: () => now })
  const caller = callerWith({ requestsPerMinute: 60 }, { dailyTokens: 1_000 })
  assert.deepEqual([...limits.standings()], [])

  const first = await limits.admit(caller, need())
  first.settle(used(10, 90), 0)
  await limits.admit(caller, need())
  const told = [...limits.standings()].map(({ labels, isBudget, used, limit }) => ({
    ...labels,
    isBudget,
    used,
    of: limit,
  }))
  assert.deepEqual(told, [
    {
      owner: 'project',
      name: 'search',
      limit: 'dailyTokens',
      isBudget: true,
      used: 200,
      of: 1_000,
    },
    { owner: 'key', name: 'alice', limit: 'requestsPerMinute', isBudget: false, used: 2, of: 60 },
  ])

  now += 30 * 60_000
  assert.deepEqual(
    [...limits.standings()].map(({ labels }) => labels.limit),
    ['dailyTokens'],
    'a window that is over says nothing',
  )
  now += 40 * 60_000
  assert.deepEqual([...limits.standings()], [])
})
