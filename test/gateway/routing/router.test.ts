import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { GatewayError } from '../../../gateway/errors.ts'
import { Router } from '../../../gateway/routing/router.ts'
import { QUESTION, routeTo, target } from './scripted-backend.ts'
import type { Attempt, Route, RoutedEvent } from '../../../gateway/routing/route.ts'
import type { Step } from './scripted-backend.ts'

interface Asked {
  router?: Router
  signal?: AbortSignal
  stickyKey?: string
}

async function ask(route: Route, { router, signal, stickyKey }: Asked = {}) {
  const events: RoutedEvent[] = []
  const attempts: Attempt[] = []
  const routed = (router ?? new Router({ random: () => 0 })).answer(route, QUESTION, {
    signal: signal ?? new AbortController().signal,
    stickyKey: stickyKey ?? null,
    onAsk: () => undefined,
    onAttempt: (attempt) => attempts.push(attempt),
  })
  let error: unknown = null
  try {
    for await (const event of routed) events.push(event)
  } catch (thrown) {
    error = thrown
  }
  const said = events.map((event) => (event.type === 'routed' ? event.target.version : event.type))
  return { said, error, attempts }
}

const OPTIONS = {
  signal: new AbortController().signal,
  stickyKey: null,
  onAsk: () => undefined,
  onAttempt: () => {},
}

const codeOf = (error: unknown) => (error instanceof GatewayError ? error.code : error)

test('who answers is said before the first delta', async () => {
  const { said, error } = await ask(routeTo([target('a', ['answer'])]))
  assert.equal(error, null)
  assert.deepEqual(said, ['a@1', 'delta', 'finished', 'done'])
})

test('a target that fails before its first delta is followed by the next, then by the fallbacks in order', async () => {
  const a = target('a', ['upstream_error'])
  const b = target('b', ['upstream_unreachable'])
  const c = target('c', ['upstream_timeout'])
  const d = target('d', ['answer'])
  const { said, attempts } = await ask(routeTo([a, b], { fallbacks: [c, d] }))
  assert.deepEqual(said, ['d@1', 'delta', 'finished', 'done'])
  const tried = attempts.map(({ version, error }) => `${version} ${error}`)
  assert.deepEqual(tried.slice(2), ['c@1 upstream_timeout', 'd@1 null'])
  assert.deepEqual(tried.slice(0, 2).toSorted(), ['a@1 upstream_error', 'b@1 upstream_unreachable'])
})

test('after the first delta nobody else is asked', async () => {
  const a = target('a', ['cut:upstream_error'])
  const b = target('b', ['answer'])
  const { said, error } = await ask(routeTo([a], { fallbacks: [b], retries: 5 }))
  assert.deepEqual(said, ['a@1', 'delta'])
  assert.equal(codeOf(error), 'upstream_error')
  assert.equal(b.backend.asked, 0)
})

test('what a target says about the request itself ends the request', async () => {
  const b = target('b', ['answer'])
  const route = routeTo([target('a', ['invalid_request'])], { fallbacks: [b], retries: 3 })
  const { error } = await ask(route)
  assert.equal(codeOf(error), 'invalid_request')
  assert.equal(b.backend.asked, 0)
})

test('what one target cannot honour, another may', async () => {
  const route = routeTo([target('a', ['unsupported_parameter'])], {
    fallbacks: [target('b', ['answer'])],
  })
  assert.equal((await ask(route)).said[0], 'b@1')
  const neither = routeTo([target('a', ['unsupported_parameter'])], {
    fallbacks: [target('b', ['upstream_unreachable'])],
  })
  assert.equal(codeOf((await ask(neither)).error), 'unsupported_parameter')
})

test('a single target is asked again as often as the route says, and no more', async () => {
  const a = target('a', ['upstream_error', 'upstream_error', 'answer'])
  assert.equal((await ask(routeTo([a], { retries: 2 }))).error, null)
  assert.equal(a.backend.asked, 3)
  const b = target('b', ['upstream_error'])
  assert.equal(codeOf((await ask(routeTo([b], { retries: 2 }))).error), 'upstream_error')
  assert.equal(b.backend.asked, 3)
})

test('a target whose key is refused is not asked again', async () => {
  const a = target('a', ['upstream_auth'])
  assert.equal(codeOf((await ask(routeTo([a], { retries: 4 }))).error), 'upstream_auth')
  assert.equal(a.backend.asked, 1)
})

test('no first token in time is a failure that a fallback mends; a stall behind it is not', async () => {
  const slow = target('slow', [5_000], { timeouts: { firstTokenMs: 20 } })
  const route = routeTo([slow], { fallbacks: [target('b', ['answer'])] })
  const { said, attempts } = await ask(route)
  assert.equal(said[0], 'b@1')
  assert.deepEqual(attempts[0]?.error, 'upstream_timeout')
  assert.match(attempts[0]?.detail ?? '', /no first token within 20 ms/)

  const stuck = target('stuck', [1, 5_000], { timeouts: { firstTokenMs: 1_000, stallMs: 20 } })
  const stalled = await ask(routeTo([stuck], { fallbacks: [target('b', ['answer'])] }))
  assert.deepEqual(stalled.said, ['stuck@1', 'delta'])
  assert.equal(codeOf(stalled.error), 'upstream_timeout')
})

test('a client that reads slowly is no stall of what it reads', async () => {
  const router = new Router()
  const a = target('a', [1, 1], { timeouts: { stallMs: 20 } })
  const answer = router.answer(routeTo([a]), QUESTION, OPTIONS)
  let events = 0
  for await (const _event of answer) {
    events++
    if (events === 2) await new Promise((resolve) => setTimeout(resolve, 60))
  }
  assert(events > 3)

  const stuck = target('stuck', [1, 5_000], { timeouts: { stallMs: 20 } })
  const read = async () => {
    for await (const _event of router.answer(routeTo([stuck]), QUESTION, OPTIONS)) {
      await new Promise((resolve) => setTimeout(resolve, 30))
    }
  }
  await assert.rejects(read(), { code: 'upstream_timeout' })
})

test('the whole answer has a limit of its own', async () => {
  const slow = target('slow', [1, 5_000], { timeouts: { totalMs: 30 } })
  const { error } = await ask(routeTo([slow]))
  assert.match(String(error), /did not end its answer within 30 ms/)
})

test('a client that leaves ends everything, also between two attempts', async () => {
  for (const script of [[5_000], ['upstream_error']] as Step[][]) {
    const a = target('a', script)
    const left = new AbortController()
    setTimeout(() => left.abort(new Error('left')), 20)
    const router = new Router({ random: () => 0.999 })
    const { error } = await ask(routeTo([a], { retries: 50 }), { router, signal: left.signal })
    assert.equal(String(error), 'Error: left')
  }
})

test('a target that keeps failing is left alone', async () => {
  const router = new Router({ random: () => 0 })
  const a = target('a', ['upstream_error'])
  const route = routeTo([a], { fallbacks: [target('b', ['answer'])] })
  for (let i = 0; i < 12; i++) assert.equal((await ask(route, { router })).said[0], 'b@1')
  assert.equal(a.backend.asked, 5)
  assert.deepEqual(
    [...router.healths.states()].map(({ upstream, state }) => `${upstream} ${state}`).toSorted(),
    ['a open', 'b closed'],
  )
})

test('where every target is left alone, one is asked all the same', async () => {
  const router = new Router({ random: () => 0 })
  const a = target('a', ['upstream_error'])
  for (let i = 0; i < 7; i++) await ask(routeTo([a]), { router })
  assert.equal(a.backend.asked, 7)
})

test('a key stays on its target, and keys are spread by weight', async () => {
  const targets = [
    target('a', ['answer'], { weight: 3 }),
    target('b', ['answer'], { weight: 1 }),
    target('off', ['answer'], { weight: 0 }),
  ]
  const route = routeTo(targets)
  const counts: Record<string, number> = {}
  for (let key = 0; key < 400; key++) {
    const [first] = (await ask(route, { stickyKey: `k${key}` })).said
    const [second] = (await ask(route, { stickyKey: `k${key}` })).said
    assert.equal(first, second)
    counts[first!] = (counts[first!] ?? 0) + 1
  }
  assert.equal(counts['off@1'], undefined)
  assert.ok(counts['a@1']! > 260 && counts['a@1']! < 340, JSON.stringify(counts))
})

test('the least busy and the fastest are preferred', async () => {
  const router = new Router()
  const busy = target('busy', ['answer'])
  const idle = target('idle', ['answer'])
  router.healths.of(busy).open = 3
  router.healths.of(busy).answered(500)
  router.healths.of(idle).answered(5)
  for (const balance of ['least_busy', 'fastest'] as const) {
    const route = routeTo([busy, idle], { balance })
    for (let i = 0; i < 10; i++) assert.equal((await ask(route, { router })).said[0], 'idle@1')
  }
})

test('whatever fails how, an answer is whole and one target’s, and the attempts are bounded', async () => {
  const step = fc.constantFrom<Step>(
    'answer',
    'upstream_error',
    'upstream_auth',
    'upstream_timeout',
    'overloaded',
    'invalid_request',
    'unsupported_parameter',
    'cut:upstream_error',
    'cut:upstream_malformed',
  )
  const scripts = fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), { maxLength: 3 })
  await fc.assert(
    fc.asyncProperty(
      scripts,
      scripts,
      fc.integer({ min: 0, max: 3 }),
      async (own, others, retries) => {
        fc.pre(own.length > 0)
        const targets = own.map((script, i) => target(`t${i}`, [...script]))
        const fallbacks = others.map((script, i) => target(`f${i}`, [...script]))
        const { said, error, attempts } = await ask(routeTo(targets, { fallbacks, retries }))
        const asked = [...targets, ...fallbacks].reduce(
          (sum, { backend }) => sum + backend.asked,
          0,
        )
        assert.ok(asked <= Math.max(targets.length, 1 + retries) + fallbacks.length)
        assert.equal(attempts.length, asked)
        assert.ok(said.filter((event) => event.includes('@')).length <= 1)
        assert.equal(error === null, said.at(-1) === 'done')
        assert.equal(
          attempts.filter((attempt) => attempt.error === null).length,
          said.length > 0 ? 1 : 0,
        )
      },
    ),
    { numRuns: 300 },
  )
})
