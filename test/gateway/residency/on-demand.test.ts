// Requests for versions that are not loaded: they wait for the load, and for room, but not for ever.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { LocalBackend } from '../../../gateway/backends/local.ts'
import { startGateway } from '../../support/gateway.ts'
import { libraryRoutes } from '../../support/library-routes.ts'
import { openFleet } from '../../support/residency.ts'
import { begin, fakeRequest, startTestRuntime } from '../../support/runtime.ts'
import type { FakeScript } from '../../support/fake-engine.ts'

const never = new AbortController().signal
const MIB = 2 ** 20
const LARGE = { holdBytes: 64 * MIB }

async function start(t: TestContext, loadWaitMs = 10_000, script: FakeScript = LARGE) {
  // Room for one of them.
  const runtime = await startTestRuntime(t, { memoryBytes: 160 * MIB })
  for (const name of ['first', 'second']) await runtime.addVersion(name, script)
  const { fleet, residency } = openFleet(t, [runtime.address])
  const created = '2026-01-01T00:00:00Z'
  const versions = ['first@1', 'second@1'].map((id) => ({ id, created }))
  const routes = libraryRoutes(versions, new LocalBackend({ runtime: fleet, loadWaitMs }))
  const gateway = await startGateway(t, { deps: { routes } })
  const ask = (model: string) =>
    gateway.post('/v1/chat/completions', { model, messages: [{ role: 'user', content: 'Hi' }] })
  return { runtime, residency, ask, log: gateway.log }
}

test('two versions of which one fits answer in turns, whoever asks at once', async (t) => {
  const { runtime, ask } = await start(t)
  const models = ['first', 'second', 'first', 'second', 'second', 'first']
  const answers = await Promise.all(models.map((model) => ask(model)))
  assert.deepEqual(
    answers.map(({ status }) => status),
    models.map(() => 200),
  )
  assert.equal((await runtime.client.stats()).engines.length, 1)
})

test('a request waits for room while what is in its way is at work', async (t) => {
  const { runtime, ask } = await start(t)
  await runtime.client.load('first@1')
  const { answer } = await begin(
    runtime.client.generate(fakeRequest('first@1', { deltas: 15, everyMs: 30 }), never),
  )
  assert.equal((await ask('second')).status, 200)
  assert.equal((await answer).at(-1)?.type, 'done')
})

test('where what is in its way is to stay it does not wait; others learn nothing of it, the log all', async (t) => {
  const { residency, ask, log } = await start(t)
  residency.wanted(['first@1'])
  await residency.load('first@1')
  const refused = await ask('second')
  assert.equal(refused.status, 503)
  assert.equal(refused.headers.get('retry-after'), '30')
  const { error } = (await refused.json()) as { error: { code: string; message: string } }
  assert.equal(error.code, 'insufficient_memory')
  assert.doesNotMatch(error.message, /first/)
  const { attempts } = await log.onlyRecord()
  assert.match(attempts[0]!.detail!, /needs 112 MiB.*first@1 has \d+ MiB \(it is to stay\)/)
})

test('a load that takes longer than a request waits is told, with how far it is and when to come back', async (t) => {
  const { ask } = await start(t, 250, { loadMs: 600 })
  const early = await ask('first')
  assert.equal(early.status, 503)
  assert.equal(early.headers.get('retry-after'), '5')
  const { error } = (await early.json()) as { error: { code: string; message: string } }
  assert.equal(error.code, 'model_loading')
  assert.match(
    error.message,
    /^Version 'first@1' is being loaded \(for \d s now(, its weights are being read)?\) and was not ready within 0 s\./,
  )
  let status = 503
  while (status === 503) ({ status } = await ask('first'))
  assert.equal(status, 200)
})
