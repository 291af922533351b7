// Readiness, and how the server goes down.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { GatewayError } from '../../../gateway/errors.ts'
import type { Exchange } from '../../../gateway/exchange/exchange.ts'
import { CHAT, KEY, startGateway } from '../../support/gateway.ts'
import { delta, done, started, stuck } from '../../support/scripted-runtime.ts'

test('the server is alive before it is ready, and says what it waits for', async (t) => {
  const { url, readiness } = await startGateway(t)
  readiness.wait('loading', 'Version guide@2 is being loaded.', 0.4)
  assert.equal((await fetch(`${url}/healthz`)).status, 200)
  const waiting = await fetch(`${url}/readyz`)
  assert.equal(waiting.status, 503)
  assert.deepEqual(await waiting.json(), {
    status: 'not ready',
    phase: 'loading',
    detail: 'Version guide@2 is being loaded.',
    progress: 0.4,
    local_version: null,
    declared_models: 0,
  })
  readiness.ready('guide@2')
  assert.equal((await fetch(`${url}/readyz`)).status, 200)
})

test('while the server drains, running answers finish and new requests are 503', async (t) => {
  const { app, url, client, post, runtime, readiness, log } = await startGateway(t)
  const { promise: mayFinish, resolve: finish } = Promise.withResolvers<void>()
  runtime.script = async function* () {
    yield started()
    yield delta('One')
    await mayFinish
    yield delta(' two')
    yield done(2)
  }
  const stream = await client.chat.completions.create({ ...CHAT, stream: true })
  readiness.drain()
  readiness.ready('too late')

  const refused = await post('/v1/chat/completions', CHAT)
  assert.equal(refused.status, 503)
  assert.equal(refused.headers.get('connection'), 'close')
  assert.equal(refused.headers.get('retry-after'), '1')
  assert.match(await refused.text(), /"code":"draining"/)
  assert.equal((await fetch(`${url}/readyz`)).status, 503)

  let hasClosed = false
  const closed = app.close().then(() => (hasClosed = true))
  await new Promise((resolve) => setTimeout(resolve, 20))
  assert.equal(hasClosed, false)
  finish()
  let text = ''
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''
  assert.equal(text, 'One two')

  // The connection is kept alive by the client; the server does not wait for it.
  const before = performance.now()
  await closed
  assert.ok(performance.now() - before < 1_000)
  const outcomes = log.records.map(({ outcome }) => outcome)
  assert.deepEqual(outcomes, ['refused', 'completed'])
})

test('a kept-alive connection is told to go when the server closes', async (t) => {
  const { app, url } = await startGateway(t)
  const headers = { authorization: `Bearer ${KEY}` }
  await (await fetch(`${url}/v1/models`, { headers })).text()
  const before = performance.now()
  await app.close()
  assert.ok(performance.now() - before < 1_000)
})

test('what can’t be waited for ends with an error frame, and its row says that the server cut it', async (t) => {
  const openExchanges = new Set<Exchange>()
  const { client, post, runtime, log } = await startGateway(t, { deps: { openExchanges } })
  runtime.script = async function* (_request, signal) {
    yield started()
    yield delta('One')
    await stuck(signal)
  }
  const stream = await client.chat.completions.create({ ...CHAT, stream: true })
  const whole = post('/v1/chat/completions', CHAT)
  while (runtime.requests.length < 2) await new Promise((resolve) => setTimeout(resolve, 2))

  for (const exchange of openExchanges) exchange.cut(new GatewayError('shut_down', 'It stops.'))
  await assert.rejects(async () => {
    for await (const _chunk of stream);
  }, /It stops/)
  assert.equal((await whole).status, 503)
  const outcomes = (await log.first(2)).map(({ outcome, errorCode }) => `${outcome} ${errorCode}`)
  assert.deepEqual(outcomes, ['failed shut_down', 'failed shut_down'])
  assert.equal(openExchanges.size, 0)
  assert.equal(runtime.cancelled.length, 2)
})
