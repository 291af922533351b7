import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import { test } from 'node:test'
import { text } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import type { IncomingMessage } from 'node:http'

import { createRuntimeClient } from '../../../runtime/client.ts'
import { MAX_BODY_BYTES } from '../../../runtime/protocol.ts'
import { fakeRequest, startTestRuntime } from '../../support/runtime.ts'
import type { TestRuntime } from '../../support/runtime.ts'

const JSON_TYPE = { 'content-type': 'application/json' }

interface Call {
  method?: string
  headers?: Record<string, string>
  body?: string
}

async function call(runtime: TestRuntime, path: string, { method = 'POST', ...rest }: Call = {}) {
  const { headers = JSON_TYPE, body = '' } = rest
  const socketPath = runtime.address.replace('unix:', '')
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  request({ socketPath, path, method, headers }, resolve).on('error', reject).end(body)
  const response = await promise
  return { status: response.statusCode, headers: response.headers, text: await text(response) }
}

test('a malformed request is refused with a sentence that names the field', async (t) => {
  const runtime = await startTestRuntime(t)
  const good = fakeRequest('a@1')
  const cases: [body: unknown, sentence: RegExp][] = [
    [{ ...good, prompt: undefined }, /^The body must have required properties prompt/],
    [[], /^The body must be object; given: \[\]\.$/],
    [
      { ...good, prompt: { kind: 'song' } },
      /^'prompt.kind' must be equal to one of .*chat,text,tokens.*"song"/,
    ],
    [{ ...good, prompt: { kind: 'text' } }, /^'prompt' must have required properties text/],
    [
      { ...good, prompt: { kind: 'chat', messages: [{ role: 'king', content: '' }] } },
      /^'prompt.messages\[0\].role' must be .*\(system,.*; given: "king"\.$/,
    ],
    [
      { ...good, prompt: { kind: 'tokens', ids: [1, -2] } },
      /^'prompt.ids\[1\]' must be >= 0; given: -2/,
    ],
    [{ ...good, sampling: { temperature: -1 } }, /^'sampling.temperature' must be >= 0; given: -1/],
    [{ ...good, sampling: { topP: 0 } }, /^'sampling.topP' must be > 0; given: 0/],
    [
      { ...good, sampling: { heat: 1 } },
      /^'sampling' must not have additional properties \(heat\)/,
    ],
    [{ ...good, sampling: { logitBias: { word: 1 } } }, /^'sampling.logitBias' .*\(word\)/],
    [{ ...good, maxTokens: 1.5 }, /^'maxTokens' must be integer; given: 1.5/],
    [{ ...good, stop: 'x'.repeat(99) }, /^'stop' must be array; given: "x{59}…\.$/],
    [{ ...good, id: '' }, /^'id' must not have fewer than 1 characters/],
    [{ ...good, colour: 'red' }, /^The body must not have additional properties \(colour\)/],
  ]
  for (const [body, sentence] of cases) {
    const answer = await call(runtime, '/generate', { body: JSON.stringify(body) })
    assert.equal(answer.status, 400)
    const { error } = JSON.parse(answer.text)
    assert.equal(error.code, 'invalid_request')
    assert.match(error.message, sentence)
  }
})

test('a body that is not JSON, of another type or too long is refused', async (t) => {
  const runtime = await startTestRuntime(t)
  const cut = await call(runtime, '/versions/load', { body: '{"version":' })
  assert.equal(cut.status, 400)
  assert.match(cut.text, /The body is not JSON/)
  const form = await call(runtime, '/versions/load', {
    headers: { 'content-type': 'text/plain' },
    body: '{"version":"a@1"}',
  })
  assert.equal(form.status, 415)
  assert.match(form.text, /its content-type is text\/plain/)
  const announced = String(MAX_BODY_BYTES + 1)
  const long = await call(runtime, '/generate', {
    headers: { ...JSON_TYPE, 'content-length': announced },
  })
  assert.equal(long.status, 413)
  assert.match(long.text, new RegExp(`${announced} bytes; ${MAX_BODY_BYTES} are allowed`))
})

test('a caller that leaves while it sends is no error', async (t) => {
  const runtime = await startTestRuntime(t)
  const socketPath = runtime.address.replace('unix:', '')
  const headers = { ...JSON_TYPE, 'content-length': '1000' }
  const sending = request({ socketPath, path: '/generate', method: 'POST', headers })
  const closed = once(sending, 'error')
  sending.write('{')
  await setTimeout(50)
  sending.destroy()
  await closed
  await runtime.client.stats()
  assert.deepEqual(
    runtime.log.filter(({ level }) => level !== 'info'),
    [],
  )
})

test('a path or method that does not exist is refused', async (t) => {
  const runtime = await startTestRuntime(t)
  assert.equal((await call(runtime, '/nowhere')).status, 404)
  assert.equal((await call(runtime, '/constructor')).status, 404)
  assert.equal((await call(runtime, '/generate', { method: 'GET' })).status, 405)
})

test('an answer is lines of JSON, and a refusal by the host is one of them', async (t) => {
  const runtime = await startTestRuntime(t)
  const version = await runtime.addVersion('lines')
  const body = JSON.stringify(fakeRequest(version))
  const refused = await call(runtime, '/generate', { body })
  assert.equal(refused.status, 200)
  assert.equal(JSON.parse(refused.text).error.code, 'version_not_loaded')
  await runtime.client.load(version)
  const answered = await call(runtime, '/generate', { body })
  assert.equal(answered.headers['content-type'], 'application/x-ndjson')
  const types = answered.text.split('\n').map((line) => line && JSON.parse(line).type)
  // The fake engine's three deltas were one step, so they are one line.
  assert.deepEqual(types, ['started', 'delta', 'done', ''])
})

test('an id that is running already is refused, and the first goes on', async (t) => {
  const runtime = await startTestRuntime(t)
  const version = await runtime.addVersion('twice')
  await runtime.client.load(version)
  const body = JSON.stringify(fakeRequest(version, { everyMs: 20 }))
  const [first, second] = await Promise.all([
    call(runtime, '/generate', { body }),
    call(runtime, '/generate', { body }),
  ])
  const answered = [first, second].filter(({ text }) => text.includes('"type":"done"'))
  assert.equal(answered.length, 1)
  assert.match(first.text + second.text, /ids have to be unique/)
})

test('a host with a token lets nobody in without it, and answers probes', async (t) => {
  const runtime = await startTestRuntime(t, { token: 'secret' })
  const { address } = runtime
  await runtime.client.stats()
  for (const token of [undefined, 'wrong', 'secrets', '']) {
    const client = createRuntimeClient({ address, token })
    t.after(() => client.close())
    await assert.rejects(client.stats(), {
      code: 'runtime_unreachable',
      message: /no bearer token, or not this runtime's/,
    })
    await assert.rejects(client.load('a@1'), { code: 'runtime_unreachable' })
  }
  assert.equal((await call(runtime, '/stats', { method: 'GET', headers: {} })).status, 401)
  assert.equal((await call(runtime, '/healthz', { method: 'GET', headers: {} })).status, 200)
})
