// What a state becomes by what is asked for, what a rollback goes back to, and whom a key leads to.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { lastGood } from '../../../gateway/deployments/last-good.ts'
import { nextState } from '../../../gateway/deployments/next-state.ts'
import { chosenFor } from '../../../gateway/routing/chosen-for.ts'
import type { Request } from '../../../gateway/deployments/next-state.ts'
import type { TrafficState } from '../../../gateway/deployments/state.ts'
import type { Route, Target } from '../../../gateway/routing/route.ts'

function historyOf(...requests: (Request | { back: number })[]) {
  const entries: { number: number; restores: number | null; state: TrafficState }[] = []
  for (const request of requests) {
    const live = entries.at(-1)?.state ?? null
    const number = entries.length + 1
    if ('back' in request) {
      entries.push({ number, restores: request.back, state: entries[request.back - 1]!.state })
    } else {
      entries.push({ number, restores: null, state: nextState(live, request) })
    }
  }
  return entries
}

const deploy = (n: number): Request => ({ action: 'deploy', version: `guide@${n}` })
const canary = (n: number): Request => ({ action: 'canary', version: `guide@${n}` })

test('a rollback goes to what was good before, and never to what was taken back', () => {
  const to = (...requests: (Request | { back: number })[]) =>
    lastGood(historyOf(...requests))?.number ?? null
  assert.equal(to(deploy(1)), null)
  assert.equal(to(deploy(1), deploy(2)), 1)
  // Back, and forward to another: the bad one in between is passed over.
  assert.equal(to(deploy(1), deploy(2), { back: 1 }, deploy(3)), 1)
  // Twice back.
  assert.equal(to(deploy(1), deploy(2), deploy(3), { back: 2 }), 1)
  assert.equal(to(deploy(1), deploy(2), { back: 1 }), null)
  // From a rollback to a rollback.
  assert.equal(to(deploy(1), deploy(2), deploy(3), { back: 1 }, deploy(4), { back: 4 }), null)
  // What was taken back and is wanted all the same is a deployment like any other.
  assert.equal(to(deploy(1), deploy(2), { back: 1 }, { back: 2 }), 1)
})

test('a rollback takes a canary back whole, from any of its steps and after it was promoted', () => {
  const to = (...requests: Request[]) => lastGood(historyOf(...requests))?.number
  assert.equal(to(deploy(1), canary(2)), 1)
  assert.equal(to(deploy(1), canary(2), { action: 'step' }, { action: 'step' }), 1)
  assert.equal(to(deploy(1), canary(2), { action: 'promote' }), 1)
  assert.equal(to(deploy(1), { action: 'shadow', version: 'guide@2' }), 1)
})

test('a canary walks its steps until it has everything', () => {
  let state = nextState(nextState(null, deploy(1)), canary(2))
  const shares = [state.canary?.share]
  while (state.canary) {
    state = nextState(state, { action: 'step' })
    shares.push(state.canary?.share)
  }
  assert.deepEqual(shares, [0.05, 0.25, 0.5, undefined])
  assert.deepEqual(state.targets, [{ version: 'guide@2', weight: 1 }])
})

test('shares that do not grow to all of the traffic are refused', () => {
  const live = nextState(null, deploy(1))
  for (const steps of [[0.5, 0.25, 1], [0.5], [1, 1]]) {
    assert.throws(
      () => nextState(live, { action: 'canary', version: 'guide@2', share: 0.1, steps }),
      { code: 'invalid_value' },
    )
  }
  assert.throws(() => nextState(null, canary(2)), { code: 'not_deployed' })
  assert.throws(() => nextState(live, { action: 'promote' }), { code: 'no_canary' })
})

test('steps without a first share begin at 5 %', () => {
  const live = nextState(null, deploy(1))
  const { canary } = nextState(live, { action: 'canary', version: 'guide@2', steps: [0.3, 1] })
  assert.deepEqual([canary?.share, canary?.steps], [0.05, [0.3, 1]])
  const early: Request = { action: 'canary', version: 'guide@2', steps: [0.02, 1] }
  assert.throws(() => nextState(live, early), { message: /got 0\.05, 0\.02, 1\./ })
})

test('a version that is named twice is refused: its weight would be anybody’s guess', () => {
  const of = (...versions: string[]) => versions.map((version) => ({ version, weight: 1 }))
  const twice: Request = { action: 'weights', targets: of('guide@1', 'guide@2', 'guide@1') }
  assert.throws(() => nextState(null, twice), { code: 'invalid_value', message: /'guide@1'/ })
  const fallbacks = ['guide@2', 'guide@2']
  assert.throws(() => nextState(null, { ...deploy(1), fallbacks } as Request), {
    code: 'invalid_value',
    message: /'guide@2'/,
  })
})

test('weights say what a conversation stays by, or leave it as it was', () => {
  const targets = [1, 2].map((n) => ({ version: `guide@${n}`, weight: n }))
  const live = nextState(null, { action: 'weights', targets, sticky: 'user' })
  assert.equal(live.sticky, 'user')
  assert.equal(nextState(live, { action: 'weights', targets }).sticky, 'user')
})

test('a shadow that gets everything is a shadow no more', () => {
  const live = nextState(nextState(null, deploy(1)), { action: 'shadow', version: 'guide@2' })
  assert.equal(nextState(live, deploy(2)).shadow, null)
  assert.equal(nextState(nextState(live, canary(2)), { action: 'promote' }).shadow, null)
  assert.equal(nextState(live, deploy(3)).shadow?.version, 'guide@2')
  assert.throws(() => nextState(live, { action: 'shadow', version: 'guide@1' }), {
    code: 'invalid_value',
    message: /'guide@1' answers everything/,
  })
})

function target(version: string, weight = 1): Target {
  const created = '2026-01-01T00:00:00.000Z'
  const backend = { answer: () => [] as never }
  return {
    version,
    upstream: 'local',
    asks: version,
    backend,
    weight,
    price: null,
    timeouts: {},
    created,
  }
}

function routeOf(targets: Target[], share: number | null): Route {
  return {
    model: 'guide',
    targets,
    fallbacks: [],
    balance: 'weighted',
    stickyHeader: null,
    retries: 0,
    cacheSeconds: null,
    sticky: 'session',
    canary: share === null ? null : { target: target('guide@9'), share },
    deployment: 7,
  }
}

const KEYS = Array.from({ length: 4_000 }, (_, index) => `session\nada\n${index}`)
const versionFor = (route: Route, key: string) => chosenFor(route, key).targets[0]!.version

test('the keys of a canary are its share, and only grow with it', () => {
  let before = new Set<string>()
  for (const share of [0.05, 0.25, 0.5, 0.999]) {
    const route = routeOf([target('guide@1')], share)
    const onTrial = new Set(KEYS.filter((key) => versionFor(route, key) === 'guide@9'))
    assert.ok([...before].every((key) => onTrial.has(key)))
    assert.ok(Math.abs(onTrial.size / KEYS.length - share) < 0.025, `${onTrial.size} at ${share}`)
    before = onTrial
  }
})

test('a key that is not on trial keeps its version whatever the canary is', () => {
  const targets = [target('guide@1', 3), target('guide@2', 1)]
  const without = routeOf(targets, null)
  const within = routeOf(targets, 0.25)
  for (const key of KEYS) {
    const version = versionFor(within, key)
    if (version !== 'guide@9') assert.equal(version, versionFor(without, key))
  }
  const first = KEYS.filter((key) => versionFor(without, key) === 'guide@1').length
  assert.ok(Math.abs(first / KEYS.length - 0.75) < 0.025, 'shares are weights')
  // The others stand behind the chosen one: an answer by another version is better than none.
  const { targets: chosen, fallbacks } = chosenFor(within, KEYS[0]!)
  assert.equal(chosen.length, 1)
  assert.ok(fallbacks.length >= 1)
})
