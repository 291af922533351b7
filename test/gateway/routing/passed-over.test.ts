// A deployed version that is left alone because it fails: whoever compares versions has to hear that it was its turn.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { GatewayError } from '../../../gateway/errors.ts'
import { Router } from '../../../gateway/routing/router.ts'
import { QUESTION, routeTo, target } from './scripted-backend.ts'
import type { Attempt } from '../../../gateway/routing/route.ts'

/** More than open a breaker. */
const ASKED = 8

function optionsOf(attempts: Attempt[]) {
  return {
    signal: new AbortController().signal,
    stickyKey: null,
    onAsk: () => undefined,
    onAttempt: (attempt: Attempt) => attempts.push(attempt),
  }
}

/** @returns a route whose first target fails, and whose fallback answers */
function deployedRoute() {
  const failing = target('canary', ['upstream_error'])
  const good = target('live', ['answer'])
  const route = { ...routeTo([failing], { fallbacks: [good] }), deployment: 7 }
  return { route, failing, good }
}

const TOLD = [
  ...Array.from({ length: 5 }, () => 'upstream_error'),
  ...Array.from({ length: ASKED - 5 }, () => 'breaker_open'),
]

test('an answer that is streamed says that a version was passed over', async () => {
  const router = new Router({ random: () => 0 })
  const { route } = deployedRoute()
  const attempts: Attempt[] = []
  for (let i = 0; i < ASKED; i++) {
    for await (const _event of router.answer(route, QUESTION, optionsOf(attempts)));
  }
  const ofCanary = attempts.filter(({ version }) => version === 'canary@1')
  assert.deepEqual(
    ofCanary.map(({ error }) => error),
    TOLD,
  )
})

test('an answer that comes whole says it too', async () => {
  const router = new Router({ random: () => 0 })
  const { route, failing } = deployedRoute()
  const attempts: Attempt[] = []
  for (let i = 0; i < ASKED; i++) {
    const ask = (backend: unknown) =>
      backend === failing.backend
        ? Promise.reject(new GatewayError('upstream_error', 'It failed.'))
        : Promise.resolve('labels')
    const { answer } = await router.askWhole(route, ask, optionsOf(attempts))
    assert.equal(answer, 'labels')
  }
  const ofCanary = attempts.filter(({ version }) => version === 'canary@1')
  assert.deepEqual(
    ofCanary.map(({ error }) => error),
    TOLD,
  )
})
