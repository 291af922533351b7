import assert from 'node:assert/strict'
import { test } from 'node:test'

import { collect, eventually, fakeRequest, startTestRuntime } from '../../support/runtime.ts'

const LONG = { deltas: 9_999, everyMs: 5 }

async function startLoaded(t: Parameters<typeof startTestRuntime>[0]) {
  const runtime = await startTestRuntime(t)
  const version = await runtime.addVersion('left')
  await runtime.client.load(version)
  const cancelled = async (id: string) => {
    const journal = await runtime.journal(version)
    return journal.some((entry) => entry.event === 'cancel' && entry.id === id)
  }
  return { runtime, version, cancelled }
}

test('an aborted request is cancelled in the engine', async (t) => {
  const { runtime, version, cancelled } = await startLoaded(t)
  const request = fakeRequest(version, LONG)
  const leaving = new AbortController()
  const reason = new Error('the client left')
  await assert.rejects(
    async () => {
      for await (const event of runtime.client.generate(request, leaving.signal)) {
        if (event.type === 'delta') leaving.abort(reason)
      }
    },
    (error) => error === reason,
  )
  await eventually('the engine was told', () => cancelled(request.id))
})

test('a request whose iteration ends early is cancelled in the engine', async (t) => {
  const { runtime, version, cancelled } = await startLoaded(t)
  const request = fakeRequest(version, LONG)
  for await (const event of runtime.client.generate(request, new AbortController().signal)) {
    if (event.type === 'delta') break
  }
  await eventually('the engine was told', () => cancelled(request.id))
})

test('a request that is aborted before its engine begins is cancelled, too', async (t) => {
  const { runtime, version, cancelled } = await startLoaded(t)
  const request = fakeRequest(version, { startMs: 60_000 })
  const leaving = new AbortController()
  const left = assert.rejects(collect(runtime.client.generate(request, leaving.signal)))
  await eventually('the engine has it', async () => (await runtime.journal(version)).length === 2)
  leaving.abort()
  await left
  await eventually('the engine was told', () => cancelled(request.id))
})

test('a request that was answered is not cancelled', async (t) => {
  const { runtime, version } = await startLoaded(t)
  const signal = new AbortController().signal
  for (let i = 0; i < 5; i++) await collect(runtime.client.generate(fakeRequest(version), signal))
  await runtime.client.unload(version)
  const events = (await runtime.journal(version)).map(({ event }) => event)
  assert.deepEqual(events, ['start', ...Array(5).fill('generate'), 'drain'])
})
