// How long what is passed on may take, how large it may be, and when it is tried again.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import OpenAI, { toFile } from 'openai'

import { OpenAIUpstream } from '../../gateway/backends/upstream/openai.ts'
import { ADMIN_KEY } from '../support/gateway.ts'
import { ScriptedUpstream } from '../support/scripted-upstream.ts'
import { FAR_MODEL, routeTo, startUpstreamGateway, targetOf } from '../support/upstream-gateway.ts'
import type { Timeouts } from '../../gateway/routing/route.ts'
import type { ExchangeRecord } from '../../gateway/exchange/exchange-record.ts'

const LIMIT = 1024 * 1024
const SPEECH = { model: FAR_MODEL, voice: 'alloy', input: 'Hi' } as const
const clientOf = (url: string) =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey: ADMIN_KEY, maxRetries: 0 })
const triedOf = ({ attempts }: ExchangeRecord) =>
  attempts.map(({ upstream, error }) => [upstream, error])

async function start(t: TestContext, timeouts: Timeouts = {}) {
  const gateway = await startUpstreamGateway(t)
  Object.assign(gateway.target, { timeouts })
  return { ...gateway, client: clientOf(gateway.url) }
}

test('an answer that does not come, or comes in part, ends when its time is over', async (t) => {
  const whole = await start(t, { totalMs: 400 })
  whole.upstream.script = (x) => x.stall()
  const { client } = whole
  await assert.rejects(client.moderations.create({ input: 'Hi' }), {
    status: 504,
    code: 'upstream_timeout',
  })
  await whole.upstream.only.hungUp

  const stalled = await start(t, { stallMs: 60 })
  stalled.upstream.script = async (x) => {
    x.head(200, { 'content-type': 'audio/mpeg' })
    await x.write('half')
    await x.stall()
  }
  const answer = await stalled.client.audio.speech.create(SPEECH)
  await assert.rejects(answer.arrayBuffer())
  await stalled.upstream.only.hungUp
  const { outcome, errorCode } = await stalled.log.onlyRecord()
  assert.deepEqual([outcome, errorCode], ['failed', 'upstream_timeout'])
})

test('a stall is between pieces of an answer: a picture may be drawn for longer', async (t) => {
  const { client, upstream } = await start(t, { stallMs: 40, firstTokenMs: 40 })
  upstream.script = (x) => x.delay(120).then(() => x.json(200, { data: [] }))
  await client.images.generate({ model: FAR_MODEL, prompt: 'A mill' })
})

test('the time of an answer begins when the request is there whole', async (t) => {
  const { url, upstream } = await start(t, { totalMs: 150 })
  upstream.script = (x) => x.json(200, { id: 'file-1' })
  const { request, answered } = upload(url)
  for (let piece = 0; piece < 5; piece++) {
    request.write('x')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  request.end()
  assert.equal((await answered).status, 200)
})

test('a connection that is refused is tried once more, at the next target where there is one', async (t) => {
  const { client, log, routes, target, upstream } = await start(t)
  const away = await ScriptedUpstream.start(t)
  await away.refuse()
  const backend = new OpenAIUpstream({ baseUrl: `${away.url}/v1`, apiKey: null })
  t.after(() => backend.close())
  const first = targetOf(backend, { version: 'm@away', upstream: 'away' })
  routes.set(FAR_MODEL, routeTo([first], { fallbacks: [target] }))
  upstream.script = (x) => x.json(200, { data: [] })
  await client.images.generate({ model: FAR_MODEL, prompt: 'A mill' })
  assert.deepEqual(triedOf(await log.onlyRecord()), [
    ['away', 'upstream_unreachable'],
    ['there', null],
  ])

  await upstream.refuse()
  await assert.rejects(client.moderations.create({ input: 'Hi' }), { status: 502 })
  assert.equal((await log.first(2))[1]!.attempts.length, 2)
})

test('an upload whose connection was refused arrives whole by the second', async (t) => {
  const { client, log, target, upstream } = await start(t)
  const { backend } = target
  const pass = backend.pass!.bind(backend)
  backend.pass = (...args) =>
    pass(...args).catch(async (error: unknown) => {
      await upstream.accept()
      throw error
    })
  await upstream.refuse()
  upstream.script = (x) => x.json(200, { id: 'file-1' })
  const bytes = Buffer.alloc(300_000, 'a')
  await client.files.create({ file: await toFile(bytes, 'a.jsonl'), purpose: 'batch' })
  assert(upstream.only.bytes.includes(bytes))
  assert.deepEqual(triedOf(await log.onlyRecord()), [
    ['there', 'upstream_unreachable'],
    ['there', null],
  ])
})

test('what an upstream has begun to read is not sent twice', async (t) => {
  const { client, upstream, log } = await start(t)
  upstream.script = (x) => x.cut()
  await assert.rejects(
    client.files.create({ file: await toFile(Buffer.from('a'), 'a'), purpose: 'batch' }),
    {
      status: 502,
      code: 'upstream_error',
    },
  )
  assert.equal(upstream.requests.length, 1)
  assert.equal((await log.onlyRecord()).attempts.length, 1)
})

test('an upload that is too large is 413, by what it says and by what it is', async (t) => {
  const { url, upstream, log } = await start(t)
  upstream.script = (x) => x.json(200, {})
  const said = upload(url, { 'content-length': `${LIMIT + 1}` })
  said.request.flushHeaders()
  const refused = await said.answered
  assert.equal(refused.status, 413)
  assert.match(refused.body, /at most 1048576 bytes are allowed; this one has 1048577\./)
  assert.equal(upstream.connections, 0)
  said.request.destroy()

  const { request, answered } = upload(url)
  const piece = Buffer.alloc(64 * 1024)
  for (let sent = 0; sent <= 2 * LIMIT; sent += piece.length) {
    if (!request.write(piece)) await once(request, 'drain')
  }
  request.end()
  const { status, body } = await answered
  assert.equal(status, 413)
  assert.match(body, /"code":"body_too_large"/)
  assert.equal(upstream.requests.length, 0, 'no upstream has got a whole file')
  const records = await log.first(2)
  assert.deepEqual(
    records.map(({ outcome, errorCode }) => [outcome, errorCode]),
    [
      ['refused', 'body_too_large'],
      ['refused', 'body_too_large'],
    ],
  )
})

test('a form that is too large is told its own limit', async (t) => {
  const { client } = await start(t)
  const file = await toFile(Buffer.alloc(LIMIT), 'a.mp3')
  await assert.rejects(
    client.audio.transcriptions.create({ file, model: FAR_MODEL }),
    (error: { status: number; message: string }) => {
      assert.equal(error.status, 413)
      assert.match(error.message, /at most 1048576 bytes/)
      return true
    },
  )
})

test('an upload goes on while it comes in', async (t) => {
  const { url, upstream } = await start(t)
  const { promise: arrived, resolve } = Promise.withResolvers<void>()
  upstream.script = (x) => x.json(200, {})
  const watcher = setInterval(() => upstream.connections > 0 && resolve(), 5)
  t.after(() => clearInterval(watcher))
  const { request, answered } = upload(url)
  request.write('the first piece')
  // The rest is sent only when the first has opened a connection.
  await arrived
  request.end('the second')
  assert.equal((await answered).status, 200)
  assert.equal(upstream.only.bytes.toString(), 'the first piecethe second')
})

/** A file in pieces, as the test sends them. */
function upload(url: string, headers: Record<string, string> = {}) {
  const request = httpRequest(`${url}/v1/files`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${ADMIN_KEY}`,
      'content-type': 'multipart/form-data; boundary=x',
      ...headers,
    },
  })
  const answered = once(request, 'response').then(async ([response]) => {
    const { statusCode } = response as IncomingMessage
    return { status: statusCode, body: await text(response as IncomingMessage) }
  })
  return { request, answered }
}
