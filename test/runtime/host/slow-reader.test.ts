import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import { test } from 'node:test'
import { text } from 'node:stream/consumers'
import type { IncomingMessage } from 'node:http'

import type { GenerateEvent } from '../../../runtime/protocol.ts'
import type { FakePrompt } from '../../support/fake-engine.ts'
import { eventually, fakeRequest, startTestRuntime, textOf } from '../../support/runtime.ts'

/** An answer of which nothing is read yet. */
async function startUnread(t: Parameters<typeof startTestRuntime>[0], prompt: FakePrompt) {
  const runtime = await startTestRuntime(t)
  const version = await runtime.addVersion('unread')
  await runtime.client.load(version)
  const asked = fakeRequest(version, prompt)
  const call = request({
    socketPath: runtime.address.replace('unix:', ''),
    path: '/generate',
    method: 'POST',
    headers: { 'content-type': 'application/json' },
  }).end(JSON.stringify(asked))
  const [response] = (await once(call, 'response')) as [IncomingMessage]
  const read = async () => {
    const lines = (await text(response)).split('\n').filter(Boolean)
    return lines.map((line) => JSON.parse(line) as GenerateEvent)
  }
  return { runtime, version, asked, read }
}

test('deltas that a slow reader has not read are joined, and none is lost', async (t) => {
  const { runtime, read } = await startUnread(t, {
    deltas: 300,
    everyMs: 1,
    text: 'é'.repeat(5_000),
  })
  await eventually('the engine is through', async () => {
    return (await runtime.client.stats()).engines[0]?.running === 0
  })
  const events = await read()
  assert.ok(events.length < 250, `${events.length} lines`)
  assert.equal(textOf(events).length, 300 * 5_000)
  const tokens = events.map((event) => (event.type === 'delta' ? event.tokens : 0))
  assert.equal(
    tokens.reduce((a, b) => a + b),
    300,
  )
  assert.equal(events.at(-1)?.type, 'done')
})

test('an answer that nobody reads is cancelled and says why', async (t) => {
  const { runtime, version, asked, read } = await startUnread(t, {
    deltas: 9_999,
    everyMs: 1,
    text: 'a'.repeat(100_000),
  })
  await eventually('the engine is told to stop', async () => {
    const journal = await runtime.journal(version)
    return journal.some((entry) => entry.event === 'cancel' && entry.id === asked.id)
  })
  const last = (await read()).at(-1)
  assert.equal(last?.type, 'error')
  assert.match(last.error.message, /was not read: its reader was more than 4 MiB behind/)
})
