import assert from 'node:assert/strict'
import { test } from 'node:test'

import { judge } from '../../../gateway/canary/guards.ts'
import { alphaOf, FALSE_ALARMS, sizeOfNextLook } from '../../../gateway/canary/looks.ts'
import { GOOD, Trial } from '../../support/trial.ts'
import type { Figures, GuardName, GuardVerdict } from '../../../gateway/canary/guards.ts'
import type { Guards } from '../../../gateway/deployments/state.ts'
import type { Manner } from '../../support/trial.ts'

const GUARDS: Guards = {
  errorRate: 0.02,
  timeToFirstToken: 1.5,
  total: 1.5,
  feedback: 0.1,
  refusalRate: 0.03,
}
const SEEDS = Array.from({ length: 20 }, (_, i) => i + 1)
/** a tenth of the traffic, looked at every few seconds; what a canary at 5 % sees takes twice as long */
const SHARE = 0.1
const EXCHANGES_A_TICK = 100

/** @returns which guards were breached first, and at how many exchanges; none where all went well */
function walk(manner: Manner, seed: number, exchanges: number) {
  const trial = new Trial(manner, GOOD, seed)
  let verdicts: GuardVerdict[] = []
  for (let seen = 0; seen < exchanges; seen += EXCHANGES_A_TICK) {
    trial.run(EXCHANGES_A_TICK, SHARE)
    verdicts = judge(GUARDS, trial.figures(GUARDS), verdicts)
    const breached = verdicts.filter(({ isBreached }) => isBreached)
    if (breached.length > 0) {
      return { guards: breached.map(({ guard }) => guard), seen: seen + EXCHANGES_A_TICK }
    }
  }
  return { guards: [], seen: exchanges }
}

const BAD: [GuardName, Manner][] = [
  ['errorRate', { ...GOOD, errors: 0.25 }],
  ['refusalRate', { ...GOOD, refusals: 0.3 }],
  ['timeToFirstToken', { ...GOOD, timeToFirstToken: 3 * GOOD.timeToFirstToken }],
  ['total', { ...GOOD, total: 3 * GOOD.total }],
  ['feedback', { ...GOOD, liked: 0.2 }],
]

for (const [guard, manner] of BAD) {
  test(`a version that is bad for ${guard} is caught by that guard and no other, in 20 of 20 runs`, () => {
    for (const seed of SEEDS) {
      const { guards, seen } = walk(manner, seed, 8_000)
      assert.deepEqual(guards, [guard], `seed ${seed}, after ${seen} exchanges`)
    }
  })
}

test('a version that is as good as the live one is left alone, in 20 of 20 runs', () => {
  for (const seed of SEEDS) assert.deepEqual(walk(GOOD, seed, 6_000).guards, [], `seed ${seed}`)
})

test('a version that is a little worse, within the margins, is left alone, in 20 of 20 runs', () => {
  const within = {
    errors: GOOD.errors + 0.01,
    refusals: GOOD.refusals + 0.015,
    timeToFirstToken: 1.25 * GOOD.timeToFirstToken,
    total: 1.25 * GOOD.total,
    liked: GOOD.liked - 0.05,
  }
  for (const seed of SEEDS) assert.deepEqual(walk(within, seed, 6_000).guards, [], `seed ${seed}`)
})

test('however often a guard looks, its looks have no more than 1 % of false alarms together', () => {
  let [spent, size] = [0, 0]
  for (let look = 1; look < 10_000; look++) {
    spent += alphaOf(look)
    const next = sizeOfNextLook(size, 50)
    if (look < 100) assert.ok(next >= size * 1.2, `${next} after ${size}`)
    size = Math.min(next, 1e9)
  }
  assert.ok(spent < FALSE_ALARMS, `${spent}`)
  assert.ok(spent > FALSE_ALARMS * 0.99)
})

const none = { count: 0, of: 0 }
const figuresOf = (canary: number, live: number): Figures => ({
  canary: {
    errors: { count: canary, of: canary },
    refusals: none,
    timeToFirstToken: { count: 0, p95: null },
    total: { count: 0, p95: null },
    feedback: { count: 0, sum: 0, squares: 0 },
  },
  live: {
    errors: { count: 0, of: live },
    refusals: none,
    timeToFirstToken: { count: 0, p95: null },
    total: { count: 0, p95: null },
    feedback: { count: 0, sum: 0, squares: 0 },
  },
  above: { timeToFirstToken: 0, total: 0 },
})

test('a guard says nothing before both versions have the sample', () => {
  const isBreached = (canary: number, live: number, guards: Guards) =>
    judge(guards, figuresOf(canary, live), []).map((verdict) => verdict.isBreached)
  assert.deepEqual(isBreached(49, 1_000, { errorRate: 0.1 }), [false])
  assert.deepEqual(isBreached(50, 49, { errorRate: 0.1 }), [false])
  assert.deepEqual(isBreached(50, 1_000, { errorRate: 0.1 }), [true])
  assert.deepEqual(isBreached(20, 1_000, { errorRate: 0.1, minSample: 20 }), [true])
  assert.deepEqual(isBreached(50, 1_000, {}), [], 'no guard, no verdict')
})

test('a guard that has looked does not look again before its sample has grown by a fifth', () => {
  const guards = { errorRate: 0.9 }
  const [first] = judge(guards, figuresOf(50, 100), [])
  assert.ok(first)
  assert.equal(first.looks, 1)
  assert.equal(first.nextLookAt, 60)
  // Unless the canary is about to get more: what has come since then may tell.
  const [decisive] = judge(guards, figuresOf(51, 200), [first], true)
  assert.deepEqual([decisive?.looks, decisive?.lookedAt], [2, 51])
  const [unchanged] = judge(guards, figuresOf(50, 200), [first], true)
  assert.equal(unchanged?.looks, 1)
  const [between] = judge(guards, figuresOf(59, 200), [first])
  assert.equal(between?.looks, 1)
  assert.equal(between.canarySample, 59)
  assert.equal(between.pValue, first.pValue)
  const [second] = judge(guards, figuresOf(60, 200), [between])
  assert.equal(second?.looks, 2)
  assert.equal(second.alpha, FALSE_ALARMS / 6)
})

test('before the canary gets more a guard of answers looks, though some of the sample failed and gave none', () => {
  const guards = { timeToFirstToken: 2, feedback: 0.1 }
  const answers = {
    timeToFirstToken: { count: 49, p95: 10 },
    feedback: { count: 9, sum: 9, squares: 9 },
  }
  const { canary, live } = figuresOf(1, 50)
  const figures = {
    canary: { ...canary, ...answers, errors: { count: 1, of: 50 } },
    live: { ...live, ...answers },
    above: { timeToFirstToken: 49, total: 0 },
  }
  const isBreached = (isDecisive: boolean) =>
    judge(guards, figures, [], isDecisive).map((verdict) => [verdict.guard, verdict.isBreached])
  assert.deepEqual(Object.fromEntries(isBreached(false)), {
    timeToFirstToken: false,
    feedback: false,
  })
  assert.deepEqual(Object.fromEntries(isBreached(true)), {
    timeToFirstToken: true,
    feedback: false,
  })
})

test('a version that nobody has answers of is compared with nothing', () => {
  const verdicts = judge(GUARDS, figuresOf(0, 0), [])
  assert.equal(verdicts.length, 5)
  for (const { pValue, canary, live, isBreached } of verdicts) {
    assert.deepEqual([pValue, canary, live, isBreached], [null, null, null, false])
  }
})
