// Clients that leave: the engine is told at once, and the row says what had been produced.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { test } from 'node:test'

import { ADMIN } from '../../gateway/callers/caller.ts'
import type { Caller } from '../../gateway/callers/caller.ts'
import { CHAT, KEY, startGateway } from '../support/gateway.ts'
import { delta, started, stuck } from '../support/scripted-runtime.ts'

test('a client that leaves in the middle of a stream is cancelled with the tokens so far', async (t) => {
  const { client, runtime, log } = await startGateway(t)
  const { promise: isCancelled, resolve: cancelled } = Promise.withResolvers<unknown>()
  runtime.script = async function* (_request, signal) {
    signal.addEventListener('abort', () => cancelled(signal.reason))
    yield started()
    yield delta('One')
    yield delta(' two')
    await stuck(signal)
  }
  const stream = await client.chat.completions.create({ ...CHAT, stream: true })
  let text = ''
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? ''
    if (text === 'One two') break
  }
  assert.match(String(await isCancelled), /client left/)
  const record = await log.onlyRecord()
  assert.equal(record.outcome, 'cancelled')
  assert.equal(record.status, 200)
  assert.deepEqual(record.answer, ['One two'])
  assert.equal(record.promptTokens, 7)
  assert.equal(record.cachedTokens, 2)
  assert.equal(record.completionTokens, 2)
  assert.equal(record.queueMs, 3)
  assert.equal(record.errorCode, null)
  assert.ok(record.timeToFirstTokenMs !== null)
  assert.deepEqual(runtime.cancelled, [record.id])
})

for (const stream of [true, false]) {
  test(`a client that leaves before the first token is 499 (stream: ${stream})`, async (t) => {
    const { url, runtime, log } = await startGateway(t)
    const { promise: isRunning, resolve: runs } = Promise.withResolvers<void>()
    runtime.script = async function* (_request, signal) {
      yield started()
      runs()
      await stuck(signal)
    }
    const leave = post(url, { ...CHAT, stream })
    await isRunning
    leave()
    const record = await log.onlyRecord()
    assert.equal(record.outcome, 'cancelled')
    assert.equal(record.status, 499)
    assert.equal(record.answer, null)
    assert.equal(record.promptTokens, 7)
    assert.deepEqual(runtime.cancelled, [record.id])
  })
}

test('all choices of a client that leaves are cancelled', async (t) => {
  const { url, runtime, log } = await startGateway(t)
  const { promise: allRun, resolve: run } = Promise.withResolvers<void>()
  runtime.script = async function* (_request, signal) {
    yield started()
    if (runtime.requests.length === 3) run()
    await stuck(signal)
  }
  const leave = post(url, { ...CHAT, n: 3 })
  await allRun
  leave()
  await log.onlyRecord()
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(runtime.cancelled.length, 3)
})

test('a client that leaves while its version loads is 499, and the load goes on', async (t) => {
  const { url, runtime, log } = await startGateway(t)
  const { promise: isLoaded, resolve: load } = Promise.withResolvers<void>()
  const { promise: isLoading, resolve: loads } = Promise.withResolvers<void>()
  runtime.onLoad = () => {
    loads()
    return isLoaded
  }
  const leave = post(url, { ...CHAT, model: 'other' })
  await isLoading
  leave()
  const record = await log.onlyRecord()
  assert.deepEqual([record.outcome, record.status, record.version], ['cancelled', 499, 'other@1'])
  load()
  await new Promise((resolve) => setImmediate(resolve))
  assert.ok(runtime.loaded.has('other@1'))
})

test('a client that leaves while its key is checked costs the engine nothing', async (t) => {
  const { promise: isAsked, resolve: asked } = Promise.withResolvers<void>()
  const { promise: found, resolve: find } = Promise.withResolvers<Caller>()
  const callers = {
    findByKeyHash() {
      asked()
      return found
    },
    findProject: () => Promise.resolve(null),
  }
  const { url, runtime, log } = await startGateway(t, { deps: { callers } })
  const leave = post(url, CHAT)
  await isAsked
  leave()
  const record = await log.onlyRecord()
  find({ ...ADMIN, id: 'late', name: 'late' })
  assert.deepEqual([record.outcome, record.status], ['cancelled', 499])
  await new Promise((resolve) => setTimeout(resolve, 10))
  assert.equal(runtime.requests.length, 0)
})

test('a client that leaves in the middle of its body is 499', async (t) => {
  const { port, log } = await startGateway(t)
  const socket = connect(port, '127.0.0.1')
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${KEY}\r\n` +
      'content-type: application/json\r\ncontent-length: 1000\r\n\r\n{"model":',
  )
  await new Promise((resolve) => setTimeout(resolve, 30))
  socket.destroy()
  const record = await log.onlyRecord()
  assert.deepEqual([record.outcome, record.status], ['cancelled', 499])
})

test('a client that stops reading and leaves frees its slot too', async (t) => {
  const { url, runtime, log } = await startGateway(t)
  const piece = 'x'.repeat(256 * 1024)
  runtime.script = async function* () {
    yield started()
    for (;;) {
      yield delta(piece)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  const leave = post(url, { ...CHAT, stream: true })
  // Long enough for the socket's buffers to fill: the gateway then waits for 'drain', which never comes.
  await new Promise((resolve) => setTimeout(resolve, 100))
  leave()
  assert.equal((await log.onlyRecord()).outcome, 'cancelled')
  assert.equal(runtime.cancelled.length, 1)
})

/** Sends without reading the answer; what is returned ends the connection. */
function post(url: string, body: unknown): () => void {
  const request = httpRequest(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${KEY}` },
  })
  request.on('error', () => {})
  request.end(JSON.stringify(body))
  void once(request, 'response').catch(() => {})
  return () => request.destroy()
}
