// What must not leave this process, and where requests must not lead.
//
// Secrets are planted where they are configured, and sent back by an upstream in whatever it says; then everything that
// anybody can read is searched for them. What an upstream says as the answer itself is the client's and stays as it is.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { pino } from 'pino'

import * as anthropic from '../support/anthropic-wire.ts'
import { startDeclaredGateway } from '../support/declared-gateway.ts'
import { ADMIN_KEY, KEY } from '../support/gateway.ts'
import { answerChat, chunk } from '../support/openai-wire.ts'
import { ScriptedUpstream } from '../support/scripted-upstream.ts'
import type { Script, ScriptedExchange } from '../support/scripted-upstream.ts'

const UPSTREAM_KEY = 'planted.key.0123456789'
const HEADER_VALUE = 'planted header of the account'
const SECRETS = { UPSTREAM_KEY, HEADER_VALUE, KEY, ADMIN_KEY }
const MODELS = ['near', 'claude', 'gem']

async function start(t: TestContext) {
  const [upstream, elsewhere] = await Promise.all([1, 2].map(() => ScriptedUpstream.start(t)))
  assert(upstream && elsewhere)
  const upstreamOf = (api: 'compatible' | 'anthropic' | 'gemini', path: string) => ({
    api,
    base_url: upstream.url + path,
    key: '${UPSTREAM_KEY}',
    headers: { 'x-account': '${HEADER_VALUE}' },
  })
  const declaration = {
    upstreams: {
      near: upstreamOf('compatible', '/v1'),
      claude: upstreamOf('anthropic', '/v1'),
      gem: upstreamOf('gemini', '/v1beta'),
    },
    // So that a path that slips through would get there.
    default_upstream: 'near',
    models: Object.fromEntries(
      MODELS.map((name) => [name, { targets: [{ upstream: name, model: 'm' }], retries: 0 }]),
    ),
  }
  let logged = ''
  const into = new Writable({
    write(line: Buffer, _encoding, done) {
      logged += line.toString()
      done()
    },
  })
  const logger = pino({ level: 'trace' }, into)
  const env = { UPSTREAM_KEY, HEADER_VALUE }
  const gateway = await startDeclaredGateway(t, declaration, { env, deps: { logger } })
  return { ...gateway, upstream, elsewhere, logged: () => logged }
}

/** Everything that it was sent. */
const echo = ({ request }: ScriptedExchange) => JSON.stringify(request.headers)
const said = (x: ScriptedExchange) => ({ message: `No: ${echo(x)}`, type: 'server_error' })
const leaking = {
  'set-cookie': `key=${UPSTREAM_KEY}`,
  'x-account': HEADER_VALUE,
  'x-request-id': UPSTREAM_KEY,
  'www-authenticate': `Bearer ${UPSTREAM_KEY}`,
}
const SCRIPTS: Script[] = [
  ...[400, 401, 403, 404, 413, 422, 429, 500, 503, 529].map((status): Script => (x) => {
    x.json(status, { type: 'error', error: said(x) }, leaking)
  }),
  (x) => x.json(500, { detail: echo(x) }),
  (x) => x.send(502, echo(x), { 'content-type': 'text/html' }),
  (x) => x.send(200, `<html>${echo(x)}`, { 'content-type': 'text/html' }),
  (x) => x.send(200, echo(x), { 'content-type': 'application/json' }),
  (x) => x.json(200, { type: 'error', error: said(x) }),
  (x) => x.stream([{ type: 'error', error: said(x) }]).then(() => x.end()),
  (x) => x.stream([echo(x)]).then(() => x.cut()),
  (x) => x.stream([`no JSON ${echo(x)}`]).then(() => x.end()),
  (x) => x.stream([chunk({ content: 'Hi' }), { error: said(x) }]).then(() => x.end()),
  (x) => x.stream([chunk({ content: 'Hi' }), `no JSON ${echo(x)}`]).then(() => x.end()),
  (x) =>
    anthropic
      .writeEvents(x, [
        anthropic.start(),
        ...anthropic.textBlock(0, ['Hi']),
        anthropic.errorBody('api_error', echo(x)),
      ])
      .then(() => x.end()),
  (x) => x.raw(`HTTP/1.1 ${HEADER_VALUE} ${UPSTREAM_KEY}\r\n\r\n`),
  (x) => x.cut(),
  // Successes, whose headers say more than they should.
  (x) => answerChat(['Hello'], { headers: leaking })(x),
  (x) => anthropic.answerMessage(['Hello'])(x),
]

test('no secret is told, kept, logged or counted, whatever an upstream says', async (t) => {
  const { post, url, upstream, log, logged } = await start(t)
  const messages = [{ role: 'user', content: 'Hi' }]
  const asked: [path: string, body: object][] = [
    ['/v1/chat/completions', { messages }],
    ['/v1/chat/completions', { messages, stream: true }],
    ['/v1/messages', { messages, max_tokens: 9, stream: true }],
    ['/v1/responses', { input: 'Hi', store: false, stream: true }],
  ]
  let told = ''
  let count = 0
  for (const model of MODELS) {
    for (const [path, body] of asked) {
      for (const script of SCRIPTS) {
        count++
        upstream.script = script
        const response = await post(path, { model, ...body })
        told += JSON.stringify([...response.headers]) + (await response.text())
      }
    }
  }
  const got = JSON.stringify(upstream.requests.map(({ headers }) => headers))
  assert(got.includes(UPSTREAM_KEY) && got.includes(HEADER_VALUE), 'the secrets were there to tell')
  assert(!got.includes(KEY), "the caller's key went to an upstream")
  assert.match(logged(), /answered with status/)
  const document = await (await fetch(`${url}/openapi.json`)).text()
  const scraped = await (await fetch(`${url}/metrics`)).text()
  assert.match(scraped, /headrace_/)
  const places = {
    told,
    kept: JSON.stringify(await log.first(count)),
    logged: logged(),
    document,
    scraped,
  }
  for (const [place, text] of Object.entries(places)) {
    for (const [name, secret] of Object.entries(SECRETS)) {
      const at = text.indexOf(secret)
      assert.equal(at, -1, `${name} in what was ${place}: ${text.slice(at - 200, at + 80)}`)
    }
  }
})

test('a wrong key is not repeated to anybody', async (t) => {
  const { post, log, logged } = await start(t)
  const wrong = 'hr_planted-but-mistyped'
  const response = await post(
    '/v1/chat/completions',
    { model: 'near', messages: [] },
    { headers: { authorization: `Bearer ${wrong}`, 'content-type': 'application/json' } },
  )
  assert.equal(response.status, 401)
  const text = await response.text()
  for (const each of [text, logged(), JSON.stringify(log.records)]) assert(!each.includes(wrong))
})

test('a redirect of an upstream is an error, and leads nowhere', async (t) => {
  const { post, upstream, elsewhere } = await start(t)
  for (const status of [301, 302, 303, 307, 308]) {
    upstream.script = (x) => x.json(status, {}, { location: `${elsewhere.url}/v1/secrets` })
    for (const model of MODELS) {
      const body = { model, messages: [{ role: 'user', content: 'Hi' }] }
      const response = await post('/v1/chat/completions', body)
      assert.equal(response.status, 502, `${status} of ${model}`)
      assert.equal(response.headers.get('location'), null)
      assert(!(await response.text()).includes(elsewhere.url))
    }
  }
  assert.equal(elsewhere.requests.length, 0)
})

test('an image by its address is for the upstream to fetch, never for the gateway', async (t) => {
  const { post, upstream, elsewhere } = await start(t)
  upstream.script = answerChat(['A mill.'])
  const image_url = { url: `${elsewhere.url}/latest/meta-data` }
  const messages = [{ role: 'user', content: [{ type: 'image_url', image_url }] }]
  for (const model of MODELS) await post('/v1/chat/completions', { model, messages })
  const input = [
    { role: 'user', content: [{ type: 'input_image', image_url: image_url.url, detail: 'auto' }] },
  ]
  await post('/v1/responses', { model: 'near', input, store: false })
  assert.equal(elsewhere.connections, 0)
})

test('no name of a model changes the address that is asked', async (t) => {
  const { post, upstream, elsewhere } = await start(t)
  const names = [
    '../../admin',
    'near/../../admin',
    'near%2F..%2F..',
    `${elsewhere.url}/v1`,
    `near@${elsewhere.url}`,
    'near@',
    '__proto__',
    'constructor',
    'near\r\nx-a: b',
    'near\u0000',
  ]
  for (const model of names) {
    const body = { model, messages: [{ role: 'user', content: 'Hi' }] }
    const response = await post('/v1/chat/completions', body)
    assert.equal(response.status, 404, model)
    await response.text()
  }
  assert.deepEqual([upstream.requests.length, elsewhere.connections], [0, 0])
})

/** What fetch would tidy up first. */
async function askRaw(port: number, bytes: string): Promise<{ status: number; text: string }> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(bytes)
  // Whatever is not read when a server refuses may come as a reset, after the answer.
  let text = ''
  socket.setEncoding('utf8').on('data', (more: string) => (text += more))
  socket.on('error', () => {})
  await new Promise((resolve) => socket.on('close', resolve))
  return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]), text }
}

test('no request line leads to another address', async (t) => {
  const { port, upstream, elsewhere } = await start(t)
  const host = new URL(elsewhere.url).host
  const rest = `host: ${host}\r\nauthorization: Bearer ${ADMIN_KEY}\r\nconnection: close\r\n\r\n`
  // A path that is known is answered from here, whatever host is named in front of it.
  for (const path of ['/v1/models', '/v1/files']) {
    const { status } = await askRaw(port, `GET ${elsewhere.url}${path} HTTP/1.1\r\n${rest}`)
    assert.equal(status, 200, path)
  }
  assert.equal(upstream.only.path, '/v1/files')
  assert.equal(upstream.only.headers['host'], new URL(upstream.url).host)
  for (const line of [
    `GET //${host}/v1/files`,
    `GET ${elsewhere.url}/admin`,
    'GET /v1/files/../../admin',
    'GET /v1/files/..%2f..%2fadmin',
    'GET /v1/files/%2e%2e/%2e%2e/admin',
    'GET /v1/files/file-1/../../../admin',
    'GET /v1\\files\\..\\admin',
    'GET /v1/files/%00',
    'TRACE /v1/models',
  ]) {
    const { status } = await askRaw(port, `${line} HTTP/1.1\r\n${rest}`)
    assert([400, 404, 405].includes(status), `${line}: ${status}`)
  }
  const { text } = await askRaw(port, `CONNECT ${host} HTTP/1.1\r\n${rest}`)
  assert(!text.startsWith('HTTP/1.1 2'), 'this is no tunnel')
  assert.deepEqual([upstream.requests.length, elsewhere.connections], [1, 0])
})

test('headers and bodies have limits, and what is over them costs no upstream a request', async (t) => {
  const { port, post, upstream } = await start(t)
  const head = `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${KEY}\r\n`
  const wide = await askRaw(port, `${head}x-wide: ${'a'.repeat(64 * 1024)}\r\n\r\n`)
  assert.equal(wide.status, 431)
  assert.match(wide.text, /headers_too_large/)

  const messages = [{ role: 'user', content: 'x'.repeat(128 * 1024) }]
  const long = await post('/v1/chat/completions', { model: 'near', messages })
  assert.equal(long.status, 413)
  // Nothing says beforehand how long this one gets.
  const pieces = async function* () {
    for (let n = 0; n < 64; n++) yield Buffer.alloc(4096, 'x')
  }
  const chunked = await post('/v1/chat/completions', '', {
    body: ReadableStream.from(pieces()),
    duplex: 'half',
  })
  assert.equal(chunked.status, 413)

  const both = await askRaw(
    port,
    `${head}content-type: application/json\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
  )
  assert.equal(both.status, 400, 'two lengths are how requests are smuggled')
  assert.equal(upstream.requests.length, 0)
})
