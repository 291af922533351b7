// When a target is asked again: not at once, not together with everybody else, and not before it wants to be.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { test } from 'node:test'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'

import { Router } from '../../../gateway/routing/router.ts'
import { startDeclaredGateway } from '../../support/declared-gateway.ts'
import { CHAT } from '../../support/gateway.ts'
import { answerChat } from '../../support/openai-wire.ts'
import { refuseWith, ScriptedUpstream } from '../../support/scripted-upstream.ts'
import { QUESTION, routeTo, target } from './scripted-backend.ts'
import type { Declaration } from '../../../gateway/declared/schema.ts'

type Upstream = NonNullable<Declaration['upstreams']>[string]

async function start(t: TestContext, { near, retries = 1 }: { near?: Upstream; retries?: number }) {
  const [first, second] = await Promise.all([1, 2].map(() => ScriptedUpstream.start(t)))
  assert(first && second)
  first.script = answerChat(['Hello'])
  second.script = answerChat(['Instead'])
  const upstreamAt = (url: string): Upstream => ({ api: 'compatible', base_url: `${url}/v1` })
  const targets = [{ upstream: 'near', model: 'm' }]
  const gateway = await startDeclaredGateway(t, {
    upstreams: { near: near ?? upstreamAt(first.url), far: upstreamAt(second.url) },
    models: {
      alone: { targets, retries },
      falls: { targets, retries, fallbacks: [{ upstream: 'far', model: 'm' }] },
    },
  })
  const ask = async (model: string) => {
    const startedMs = performance.now()
    const response = await gateway.post('/v1/chat/completions', { ...CHAT, model })
    const text = await response.text()
    return { response, text, ms: performance.now() - startedMs }
  }
  return { ...gateway, near: first, far: second, ask }
}

test('a target that says when to come back is not asked before', async (t) => {
  const { near, ask } = await start(t, {})
  near.next.push(refuseWith(429, { 'retry-after-ms': '300' }))
  const { response, ms } = await ask('alone')
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('x-headrace-attempts'), '2')
  assert(ms >= 300, `asked again after ${ms} ms`)
})

test('nobody waits for a target that wants to be left alone for long', async (t) => {
  const { near, far, ask } = await start(t, { retries: 3 })
  near.script = refuseWith(429, { 'retry-after': '60' })
  const alone = await ask('alone')
  assert.equal(alone.response.status, 429)
  assert.equal(alone.response.headers.get('retry-after'), '60')
  assert.equal(near.requests.length, 1)
  const falls = await ask('falls')
  assert.match(falls.text, /Instead/)
  assert.equal(falls.response.headers.get('x-headrace-attempts'), '1')
  assert.deepEqual([near.requests.length, far.requests.length], [1, 1])
  assert(alone.ms < 5_000 && falls.ms < 5_000, `${alone.ms} and ${falls.ms} ms`)
})

test('pauses grow, and are drawn so that whoever failed together does not come back together', async () => {
  const failing = async (random: number) => {
    const route = routeTo([target('a', ['upstream_error'])], { retries: 2 })
    const startedMs = performance.now()
    await assert.rejects(
      async () => {
        const router = new Router({ random: () => random })
        const options = { stickyKey: null, onAsk: () => undefined, onAttempt: () => {} }
        const signal = new AbortController().signal
        for await (const _event of router.answer(route, QUESTION, { ...options, signal }));
      },
      { code: 'upstream_error' },
    )
    return performance.now() - startedMs
  }
  // 100 and 200 ms at most, times the draw.
  const [none, half, whole] = [await failing(0), await failing(0.5), await failing(1)]
  assert(none < half, `${none} and ${half} ms`)
  assert(half >= 145 && whole >= 295, `${half} and ${whole} ms`)
})

test('a connection that does not come to stand is given up in its time, and the fallback answers', async (t) => {
  // It takes connections and never says a word of TLS.
  const mute = createServer(() => {}).listen(0, '127.0.0.1')
  await once(mute, 'listening')
  const sockets = new Set<{ destroy(): void }>()
  mute.on('connection', (socket) => sockets.add(socket.on('error', () => {})))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    mute.close()
  })
  const { port } = mute.address() as AddressInfo
  const near: Upstream = {
    api: 'compatible',
    base_url: `https://127.0.0.1:${port}/v1`,
    connect_ms: 200,
  }
  const { ask } = await start(t, { near, retries: 0 })
  const alone = await ask('alone')
  assert.equal(alone.response.status, 502)
  assert.match(alone.text, /"upstream_unreachable"/)
  const falls = await ask('falls')
  assert.match(falls.text, /Instead/)
  assert(alone.ms < 5_000 && falls.ms < 5_000, `${alone.ms} and ${falls.ms} ms`)
})
