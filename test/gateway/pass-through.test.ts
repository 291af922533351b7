// The parts of OpenAI's API that are passed on: with the official client, over an upstream that has them.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'

import OpenAI, { toFile } from 'openai'

import { ADMIN } from '../../gateway/callers/caller.ts'
import { ADMIN_KEY, KEY, TableOfKeys } from '../support/gateway.ts'
import { refuseWith } from '../support/scripted-upstream.ts'
import {
  ASKED_MODEL,
  FAR_MODEL,
  startUpstreamGateway,
  UPSTREAM_KEY,
} from '../support/upstream-gateway.ts'

const PICTURE = Buffer.from(Array.from({ length: 100_000 }, (_, index) => index % 251))
const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
const adminOf = (url: string) =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey: ADMIN_KEY, maxRetries: 0 })

test("an image is asked for with the upstream's own name of the model", async (t) => {
  const { client, upstream, log } = await startUpstreamGateway(t)
  upstream.script = (x) => x.json(200, { created: 1, data: [{ b64_json: 'AAAA' }] })
  const answer = await client.images.generate({ model: FAR_MODEL, prompt: 'A mill' })
  assert.equal(answer.data?.[0]?.b64_json, 'AAAA')
  assert.equal(upstream.only.path, '/v1/images/generations')
  assert.deepEqual(upstream.only.json, { prompt: 'A mill', model: ASKED_MODEL })
  const record = await log.onlyRecord()
  assert.deepEqual(
    [record.outcome, record.upstream, record.model],
    ['completed', 'there', FAR_MODEL],
  )
})

test('speech comes back as bytes', async (t) => {
  const { client, upstream } = await startUpstreamGateway(t)
  upstream.script = (x) => x.send(200, PICTURE, { 'content-type': 'audio/mpeg' })
  const answer = await client.audio.speech.create({ model: FAR_MODEL, voice: 'alloy', input: 'Hi' })
  assert.equal(answer.headers.get('content-type'), 'audio/mpeg')
  assert.equal(digest(Buffer.from(await answer.arrayBuffer())), digest(PICTURE))
})

test('a form names its model too, wherever in it', async (t) => {
  const { client, post, upstream, log } = await startUpstreamGateway(t)
  upstream.script = (x) => x.json(200, { text: 'Hello' })
  const file = await toFile(PICTURE, 'a.mp3', { type: 'audio/mpeg' })
  const answer = await client.audio.transcriptions.create({ file, model: FAR_MODEL })
  assert.equal(answer.text, 'Hello')

  const { bytes, headers } = upstream.only
  const form = await new Response(new Uint8Array(bytes), {
    headers: { 'content-type': headers['content-type'] as string },
  }).formData()
  assert.equal(form.get('model'), ASKED_MODEL)
  const sent = form.get('file')
  assert(sent instanceof File)
  assert.equal(digest(Buffer.from(await sent.arrayBuffer())), digest(PICTURE))
  // A recording is nobody's to read in a log.
  const record = await log.onlyRecord()
  assert.equal(record.requestedModel, FAR_MODEL)
  assert.deepEqual([record.prompt, record.parameters], [null, null])

  const notAForm = await post('/v1/audio/transcriptions', { model: FAR_MODEL })
  assert.equal(notAForm.status, 415)
})

test('nothing of the client goes along, and nothing of the upstream comes back, but what is meant to', async (t) => {
  const { url, upstream } = await startUpstreamGateway(t)
  upstream.script = (x) =>
    x.json(
      200,
      {},
      { 'set-cookie': 'a=b', 'openai-organization': 'ours', 'x-ratelimit-limit-requests': '9' },
    )
  const response = await fetch(`${url}/v1/moderations`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${KEY}`,
      cookie: 'session=1',
      'x-forwarded-for': '10.0.0.1',
      'x-secret': 'mine',
      'content-type': 'application/json',
      'openai-beta': 'x=v2',
    },
    body: JSON.stringify({ model: FAR_MODEL, input: 'Hi' }),
  })
  assert.equal(response.status, 200)
  const { headers } = upstream.only
  assert.equal(headers['authorization'], `Bearer ${UPSTREAM_KEY}`)
  assert.equal(headers['host'], new URL(upstream.url).host)
  assert.equal(headers['openai-beta'], 'x=v2')
  assert(!JSON.stringify(headers).includes(KEY))
  for (const name of ['cookie', 'x-forwarded-for', 'x-secret'])
    assert.equal(headers[name], undefined)
  for (const name of ['set-cookie', 'openai-organization', 'x-ratelimit-limit-requests']) {
    assert.equal(response.headers.get(name), null)
  }
})

test('a file is uploaded, listed, read and deleted', async (t) => {
  const { url, upstream } = await startUpstreamGateway(t)
  const client = adminOf(url)
  upstream.script = (x) => x.json(200, { id: 'file-1', object: 'file', data: [] })
  const file = await toFile(PICTURE, 'a.jsonl')
  assert.equal((await client.files.create({ file, purpose: 'batch' })).id, 'file-1')
  assert(upstream.only.bytes.includes(PICTURE))
  await client.files.list({ limit: 2, purpose: 'batch' })
  await client.files.delete('file-1')
  upstream.script = (x) => x.send(200, PICTURE, { 'content-type': 'application/octet-stream' })
  const content = await client.files.content('file-1')
  assert.equal(digest(Buffer.from(await content.arrayBuffer())), digest(PICTURE))
  await client.batches.cancel('batch_1')
  assert.deepEqual(
    upstream.requests.map(({ method, path }) => `${method} ${path}`),
    [
      'POST /v1/files',
      'GET /v1/files?limit=2&purpose=batch',
      'DELETE /v1/files/file-1',
      'GET /v1/files/file-1/content',
      'POST /v1/batches/batch_1/cancel',
    ],
  )
})

test('what lies in the shared account is not for every key', async (t) => {
  const { client, upstream } = await startUpstreamGateway(t)
  await assert.rejects(client.files.list(), { status: 403, code: 'insufficient_role' })
  await assert.rejects(client.batches.list(), { status: 403, code: 'insufficient_role' })
  assert.equal(upstream.requests.length, 0)
})

test('no path but the known ones leads anywhere', async (t) => {
  const { url, upstream } = await startUpstreamGateway(t)
  const headers = { authorization: `Bearer ${ADMIN_KEY}` }
  for (const path of [
    '/v1/organization/api_keys',
    '/v1/files/..%2Forganization',
    '/v1/files/a%2Fb/content',
    '/v1/files/a%3Fb',
    '/v1/files/a%0D%0Ab',
  ]) {
    const response = await fetch(url + path, { headers })
    assert([400, 404].includes(response.status), `${path}: ${response.status}`)
  }
  assert.equal(upstream.requests.length, 0)
})

test('a key that is for some models may use those, and must name them', async (t) => {
  const caller = { ...ADMIN, id: 'caller-2', name: 'some', role: 'caller' as const }
  const keys = new TableOfKeys({ [KEY]: { ...caller, allowedModels: ['others-*'] } })
  const { client, upstream } = await startUpstreamGateway(t, { deps: { callers: keys } })
  await assert.rejects(client.images.generate({ model: FAR_MODEL, prompt: 'A mill' }), {
    status: 404,
    code: 'model_not_found',
  })
  await assert.rejects(client.moderations.create({ input: 'Hi' }), {
    status: 400,
    code: 'missing_required_parameter',
  })
  assert.equal(upstream.requests.length, 0)
})

test('without a model the upstream that is set for it answers, or nobody', async (t) => {
  const { client, upstream } = await startUpstreamGateway(t)
  upstream.script = (x) => x.json(200, { results: [] })
  await client.moderations.create({ input: 'Hi' })
  assert.deepEqual(upstream.only.json, { input: 'Hi' })
  const nobody = await startUpstreamGateway(t, { deps: { defaultTarget: () => null } })
  await assert.rejects(nobody.client.moderations.create({ input: 'Hi' }), {
    status: 404,
    code: 'unknown_url',
  })
})

test("what the upstream says against the request is the client's to read, the rest is ours", async (t) => {
  const { url, upstream, log } = await startUpstreamGateway(t)
  const client = adminOf(url)
  const said = `No such File object: file-9 for ${UPSTREAM_KEY}`
  upstream.next.push(refuseWith(404, {}, { message: said, code: null }))
  await assert.rejects(
    client.files.retrieve('file-9'),
    (error: { status: number; message: string }) => {
      assert.equal(error.status, 404)
      assert.match(error.message, /No such File object: file-9 for \[redacted\]/)
      return true
    },
  )
  upstream.next.push(refuseWith(401))
  await assert.rejects(client.files.retrieve('file-9'), { status: 502, code: 'upstream_auth' })
  await upstream.refuse()
  await assert.rejects(client.files.retrieve('file-9'), {
    status: 502,
    code: 'upstream_unreachable',
  })
  const records = await log.first(3)
  assert.deepEqual(
    records.map(({ outcome, status }) => [outcome, status]),
    [
      ['refused', 404],
      ['failed', 502],
      ['failed', 502],
    ],
  )
})

test('an answer that breaks off breaks the connection, and its row says why', async (t) => {
  const { client, upstream, log } = await startUpstreamGateway(t)
  upstream.script = async (x) => {
    x.head(200, { 'content-type': 'audio/mpeg' })
    await x.write(PICTURE)
    await x.delay(20)
    x.cut()
  }
  const answer = await client.audio.speech.create({ model: FAR_MODEL, voice: 'alloy', input: 'Hi' })
  await assert.rejects(answer.arrayBuffer())
  const record = await log.onlyRecord()
  assert.deepEqual([record.outcome, record.errorCode], ['failed', 'upstream_error'])
})

for (const [how, headers] of [
  ['of an announced length', { 'content-length': `${PICTURE.length}` }],
  ['without a length', {}],
] as const) {
  test(`an answer ${how} is in the log before its end leaves the house`, async (t) => {
    const { app, client, upstream, log } = await startUpstreamGateway(t)
    upstream.script = async (x) => {
      x.head(200, { 'content-type': 'audio/mpeg', ...headers })
      await x.write(PICTURE.subarray(0, 40_000))
      await x.delay(20)
      await x.write(PICTURE.subarray(40_000))
      await x.end()
    }
    /** of the answer, how much had left when the row was there */
    let sentBefore: { bytes: number; hasEnded: boolean } | null = null
    app.server.prependListener('request', (_request, response) => {
      const sent = { bytes: 0, hasEnded: false }
      const look = () => {
        if (log.records.length > 0) sentBefore ??= { ...sent }
      }
      const write = response.write.bind(response) as (chunk: Buffer) => boolean
      response.write = (chunk: Buffer) => {
        look()
        sent.bytes += chunk.length
        return write(chunk)
      }
      const end = response.end.bind(response) as () => typeof response
      response.end = () => {
        look()
        sent.hasEnded = true
        return end()
      }
    })
    const options = { model: FAR_MODEL, voice: 'alloy', input: 'Hi' }
    const answer = await client.audio.speech.create(options)
    assert.equal(digest(Buffer.from(await answer.arrayBuffer())), digest(PICTURE))
    const { outcome, status } = await log.onlyRecord()
    assert.deepEqual([outcome, status], ['completed', 200])
    const before = sentBefore as { bytes: number; hasEnded: boolean } | null
    assert(before, 'the row was there before the end')
    assert.equal(before.hasEnded, false)
    if ('content-length' in headers) assert(before.bytes < PICTURE.length)
  })
}

test('a client that leaves ends the call', async (t) => {
  const { url, upstream, log } = await startUpstreamGateway(t)
  upstream.script = async (x) => {
    x.head(200, { 'content-type': 'audio/mpeg' })
    await x.write(PICTURE)
    await x.stall()
  }
  const leave = new AbortController()
  const response = await fetch(`${url}/v1/audio/speech`, {
    method: 'POST',
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: FAR_MODEL, voice: 'alloy', input: 'Hi' }),
    signal: leave.signal,
  })
  await response.body?.getReader().read()
  leave.abort()
  await upstream.only.hungUp
  assert.equal((await log.onlyRecord()).outcome, 'cancelled')
})

test('compressed answers are passed on as they are', async (t) => {
  const { client, upstream } = await startUpstreamGateway(t)
  const { gzipSync } = await import('node:zlib')
  const body = gzipSync(JSON.stringify({ results: [{ flagged: true }] }))
  upstream.script = (x) =>
    x.send(200, body, { 'content-encoding': 'gzip', 'content-type': 'application/json' })
  const answer = await client.moderations.create({ model: FAR_MODEL, input: 'Hi' })
  assert.equal(answer.results[0]?.flagged, true)
})
