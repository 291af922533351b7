// The door to upstreams over real sockets: what it reads, what it tells of faults, and that it never tells a secret.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { UpstreamFault } from '../../../gateway/backends/upstream/fault.ts'
import { UpstreamHttp } from '../../../gateway/backends/upstream/http.ts'
import { COMPRESSIONS, ScriptedUpstream } from '../../support/scripted-upstream.ts'
import type { UpstreamHttpOptions } from '../../../gateway/backends/upstream/http.ts'

const KEY = 'planted-secret-0123456789'
const signal = () => new AbortController().signal

async function start(t: TestContext, options: Partial<UpstreamHttpOptions> = {}) {
  const upstream = await ScriptedUpstream.start(t)
  const http = new UpstreamHttp({
    baseUrl: `${upstream.url}/v1`,
    headers: { authorization: `Bearer ${KEY}` },
    ...options,
  })
  t.after(() => http.close())
  const post = (body: object = { a: 1 }, ended = signal()) =>
    http.post('/x', body, { signal: ended })
  return { upstream, http, post }
}

const isFault = (kind: string, words: RegExp) => (error: unknown) => {
  assert(error instanceof UpstreamFault, String(error))
  assert.equal(error.kind, kind)
  assert.match(error.message, words)
  return true
}

test('a request arrives with the configured headers, at the configured path', async (t) => {
  const { upstream, post } = await start(t)
  upstream.script = (x) => x.json(200, { it: 'works' })
  const response = await post({ question: 'ü' })
  assert.equal(response.status, 200)
  assert.deepEqual(await response.json(), { it: 'works' })
  assert.equal(upstream.only.path, '/v1/x')
  assert.equal(upstream.only.headers['authorization'], `Bearer ${KEY}`)
  assert.equal(upstream.only.headers['content-type'], 'application/json')
  assert.deepEqual(upstream.only.json, { question: 'ü' })
})

test('connections are kept for the next request', async (t) => {
  const { upstream, post } = await start(t)
  for (let i = 0; i < 10; i++) await (await post()).json()
  // A connection is free again only a moment after its answer was read.
  assert(upstream.connections <= 2, `${upstream.connections} connections`)
})

for (const [name, [encoding, compress]] of Object.entries(COMPRESSIONS)) {
  test(`a body compressed with ${name} is read`, async (t) => {
    const { upstream, post } = await start(t)
    const body = JSON.stringify({ text: 'Grüße '.repeat(10_000) })
    upstream.script = (x) => x.send(200, compress(body), { 'content-encoding': encoding })
    assert.deepEqual(await (await post()).json(), JSON.parse(body))
  })
}

test('a compressed event stream is read as it arrives', async (t) => {
  const { upstream, post } = await start(t)
  const { promise: isRead, resolve } = Promise.withResolvers<void>()
  upstream.script = async (x) => {
    await x.stream(['first'], { gzip: true })
    await isRead
    await x.stream(['second'])
    await x.end()
  }
  const seen: string[] = []
  for await (const { data } of (await post()).events()) {
    seen.push(data)
    // Only once the first is here is the second sent.
    resolve()
  }
  assert.deepEqual(seen, ['first', 'second'])
})

test('a compressed body that ends early is a cut, and one that is garbage is malformed', async (t) => {
  const { upstream, post } = await start(t)
  const [encoding, compress] = COMPRESSIONS['gzip']!
  const headers = { 'content-encoding': encoding }
  const whole = compress('x'.repeat(1000))
  upstream.next.push((x) => x.send(200, whole.subarray(0, whole.length - 10), headers))
  await assert.rejects((await post()).json(), isFault('cut', /unexpected end of file/))
  upstream.next.push((x) => x.send(200, 'not gzip at all', headers))
  await assert.rejects((await post()).json(), isFault('malformed', /incorrect header/))
  upstream.next.push((x) => x.send(200, 'x', { 'content-encoding': 'zpaq' }))
  await assert.rejects((await post()).json(), isFault('malformed', /unknown encoding 'zpaq'/))
})

test('a body is bounded after decompression', async (t) => {
  const { upstream, post } = await start(t)
  const [encoding, compress] = COMPRESSIONS['gzip']!
  const bomb = compress('x'.repeat(1_000_000))
  upstream.script = (x) => x.send(200, bomb, { 'content-encoding': encoding })
  await assert.rejects(
    (await post()).json(10_000),
    isFault('malformed', /more than the 10000 bytes/),
  )
  assert.equal((await (await post()).text(100)).length, 100)
})

test('what is not JSON is quoted, in part', async (t) => {
  const { upstream, post } = await start(t)
  upstream.script = (x) => x.send(200, `<html>${'x'.repeat(5000)}`)
  await assert.rejects((await post()).json(), (error: UpstreamFault) => {
    assert.match(error.message, /sent something that is not JSON\.$/)
    assert.match(error.quote ?? '', /^"<html>xxx/)
    return (error.quote ?? '').length < 300
  })
})

test('a refused connection is a fault of connecting', async (t) => {
  const { upstream, post } = await start(t)
  await upstream.refuse()
  await assert.rejects(post(), isFault('connect', /can't be reached: connect ECONNREFUSED/))
})

test('a connection that breaks before the answer, or within it, is a cut', async (t) => {
  const { upstream, post } = await start(t)
  upstream.next.push((x) => x.cut())
  await assert.rejects(post(), isFault('cut', /did not answer/))
  upstream.next.push((x) => x.halfClose())
  await assert.rejects(post(), isFault('cut', /did not answer/))
  for (const fault of ['cut', 'halfClose'] as const) {
    upstream.next.push(async (x) => {
      await x.stream(['a'])
      await x.delay(20)
      x[fault]()
    })
    const seen: string[] = []
    const reading = async () => {
      for await (const { data } of (await post()).events()) seen.push(data)
    }
    await assert.rejects(reading, isFault('cut', /broke off its answer/))
    assert.deepEqual(seen, ['a'])
  }
})

test('what is not HTTP is malformed', async (t) => {
  const { upstream, post } = await start(t)
  upstream.script = (x) => x.raw('SSH-2.0-OpenSSH_9.6\r\n')
  await assert.rejects(post(), isFault('malformed', /does not speak HTTP/))
})

test('silence is a time-out, before the answer and within it', async (t) => {
  const { upstream, post } = await start(t, { silenceMs: 50 })
  upstream.next.push((x) => x.stall())
  await assert.rejects(post(), isFault('timeout', /is silent/))
  upstream.next.push((x) => x.stream(['a']).then(() => x.stall()))
  const response = await post()
  assert.equal((await response.nextEvents())?.length, 1)
  await assert.rejects(response.nextEvents(), isFault('timeout', /is silent/))
})

test('an abort rejects with its reason at once and closes the connection', async (t) => {
  const { upstream, post } = await start(t)
  for (const script of [
    (x) => x.stall(),
    (x) => x.stream(['a']).then(() => x.stall()),
  ] satisfies ScriptedUpstream['next']) {
    upstream.next.push(script)
    const abort = new AbortController()
    const reason = new Error('the client left')
    const reading = (async () => {
      for await (const _ of (await post({}, abort.signal)).events()) abort.abort(reason)
    })()
    setTimeout(() => abort.abort(reason), 30)
    await assert.rejects(reading, reason)
    await upstream.requests.at(-1)!.hungUp
  }
})

test('who is aborted while waiting for a connection does not take one', async (t) => {
  const { upstream, post } = await start(t, { connections: 1 })
  const first = new AbortController()
  upstream.next.push((x) => x.stall())
  const holding = assert.rejects(post({}, first.signal))
  await upstream.received(1)
  const second = new AbortController()
  const waiting = assert.rejects(post({}, second.signal), /gave up/)
  second.abort(new Error('gave up'))
  await waiting
  first.abort(new Error('enough'))
  await holding
  await (await post()).json()
  assert.equal(upstream.requests.length, 2)
})

test('leaving the events early closes the connection', async (t) => {
  const { upstream, post } = await start(t)
  upstream.script = (x) => x.stream(['a', 'b']).then(() => x.stall())
  for await (const _ of (await post()).events()) break
  await upstream.only.hungUp
})

test('a reader that is slow stops the upstream, so that memory stays bounded', async (t) => {
  const { upstream, post } = await start(t)
  let written = 0
  upstream.script = async (x) => {
    x.head(200, { 'content-type': 'text/event-stream' })
    const frame = `data: ${'x'.repeat(64 * 1024)}\n\n`
    while (!x.request.isHungUp) {
      await x.write(frame)
      written += frame.length
    }
  }
  const response = await post()
  await response.nextEvents()
  let before = -1
  while (written !== before) {
    before = written
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  // What the sockets of two processes hold, and no more; the stream has no end.
  assert(written < 16 * 1024 * 1024, `${written} bytes were taken`)
  response.close()
  await upstream.only.hungUp
})

test('an upstream that retires lets what runs come to its end, and takes nothing more', async (t) => {
  const { upstream, http, post } = await start(t)
  const { promise: isRetiring, resolve } = Promise.withResolvers<void>()
  upstream.script = async (x) => {
    await x.stream(['first'])
    await isRetiring
    await x.stream(['last'])
    await x.end()
  }
  const response = await post()
  const retired = http.retire()
  resolve()
  await assert.rejects(post(), UpstreamFault)
  const seen: string[] = []
  for await (const { data } of response.events()) seen.push(data)
  assert.deepEqual(seen, ['first', 'last'])
  await retired
})

test('redirects are not followed', async (t) => {
  const { upstream, post } = await start(t)
  upstream.script = (x) => x.send(302, '', { location: 'http://127.0.0.1:1/elsewhere' })
  assert.equal((await post()).status, 302)
  assert.equal(upstream.requests.length, 1)
})

test("no fault tells the upstream's key, also where the upstream quotes it", async (t) => {
  const { upstream, http, post } = await start(t, { silenceMs: 50 })
  const faults: unknown[] = []
  const note = (error: unknown) => faults.push(error)
  upstream.next.push((x) => x.send(200, `you sent Bearer ${KEY}, or was it ${KEY}?`))
  await (await post()).json().catch(note)
  upstream.next.push((x) => x.raw(`${KEY}\r\n`))
  await post().catch(note)
  upstream.next.push((x) => x.stall())
  await post().catch(note)
  upstream.next.push((x) => x.cut())
  await post().catch(note)
  assert.equal(faults.length, 4)
  const { inspect } = await import('node:util')
  for (const fault of faults) assert(!inspect(fault, { depth: 10 }).includes(KEY))
  assert.equal(
    http.redact(`Incorrect API key provided: sk-proj-abc*****wxyz for ${KEY}`),
    'Incorrect API key provided: [redacted] for [redacted]',
  )
  const words = 'skateboarding bearers of hrefs and skeletons'
  assert.equal(http.redact(words), words)
})

test('an address that is none, or carries credentials, is refused', () => {
  for (const baseUrl of [
    'api.example.com',
    'ftp://x',
    'https://me:pass@x/v1',
    'https://x/v1?k=1',
  ]) {
    assert.throws(() => new UpstreamHttp({ baseUrl, headers: {} }), /An upstream's address must/)
  }
})
