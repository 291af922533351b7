// Bodies that a confused client, or one that means harm, may send: each is told what is wrong with it, and none of them
// costs anybody else anything.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { gzipSync } from 'node:zlib'

import { startDeclaredGateway } from '../support/declared-gateway.ts'
import { KEY, startGateway } from '../support/gateway.ts'
import { answerChat, chatBody } from '../support/openai-wire.ts'
import { ScriptedUpstream } from '../support/scripted-upstream.ts'
import type { Declaration } from '../../gateway/declared/schema.ts'

interface ErrorBody {
  error: { code: string; message: string; param: string | null }
}

const MESSAGES = '"messages":[{"role":"user","content":"Hi"}]'
const deep = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`

async function start(t: TestContext) {
  const upstream = await ScriptedUpstream.start(t)
  upstream.script = answerChat(['Hello'])
  const declaration: Declaration = {
    upstreams: { there: { api: 'compatible', base_url: `${upstream.url}/v1` } },
    models: { chat: { targets: [{ upstream: 'there', model: 'm' }] } },
  }
  const gateway = await startDeclaredGateway(t, declaration, {
    settings: { bodyLimitBytes: 1024 * 1024 },
  })
  const ask = async (path: string, body: string | Uint8Array<ArrayBuffer>, headers = {}) => {
    const response = await gateway.post(path, null, {
      body,
      headers: { 'content-type': 'application/json', authorization: `Bearer ${KEY}`, ...headers },
    })
    return { status: response.status, ...((await response.json()) as ErrorBody) }
  }
  return { ...gateway, upstream, ask }
}

test('what is nested without end is refused by name at every address, and takes no target from others', async (t) => {
  const { ask, upstream, log } = await start(t)
  const tool = (name: string) => `"tools":[{"type":"function",${name}}]`
  const schema = `"json_schema":{"name":"x","schema":${deep(9_000)}}`
  const bodies: [path: string, param: string, body: string][] = [
    ['chat/completions', 'zz', `${MESSAGES},"zz":${deep(9_000)}`],
    ['chat/completions', 'metadata', `${MESSAGES},"metadata":${deep(9_000)}`],
    [
      'chat/completions',
      'tools',
      `${MESSAGES},${tool(`"function":{"name":"f","parameters":${deep(9_000)}}`)}`,
    ],
    [
      'chat/completions',
      'response_format',
      `${MESSAGES},"response_format":{"type":"json_schema",${schema}}`,
    ],
    ['chat/completions', 'messages', `"messages":${'['.repeat(9_000)}${']'.repeat(9_000)}`],
    ['responses', 'tools', `"input":"Hi",${tool(`"name":"f","parameters":${deep(9_000)}`)}`],
    ['moderations', 'input', `"input":${deep(9_000)}`],
  ]
  for (const [path, param, body] of bodies) {
    const { status, error } = await ask(`/v1/${path}`, `{"model":"chat",${body}}`)
    assert.deepEqual(
      { status, code: error.code, param: error.param },
      { status: 400, code: 'invalid_value', param },
    )
    assert.match(error.message, /nested too deeply: at most 128 levels/)
  }
  const rows = await log.first(bodies.length)
  assert(rows.every(({ outcome }) => outcome === 'refused'))
  // Where that was taken for a fault of the target, its breaker would be open now.
  assert.equal(upstream.requests.length, 0)
  const whole = `{"model":"chat",${MESSAGES},"zz":${deep(100)}}`
  assert.equal((await ask('/v1/chat/completions', whole)).status, 200)
  assert.equal(upstream.requests.length, 1)
})

test('an object of very many members is refused before it is copied', async (t) => {
  const { ask, upstream } = await start(t)
  const members = (count: number) =>
    Array.from({ length: count }, (_, index) => `"${index}":1`).join()
  for (const [param, body] of [
    [null, members(10_000)],
    ['zz', `"zz":{"a":[{${members(10_001)}}]}`],
  ]) {
    const { status, error } = await ask(
      '/v1/chat/completions',
      `{"model":"chat",${MESSAGES},${body}}`,
    )
    assert.deepEqual(
      { status, code: error.code, param: error.param },
      { status: 400, code: 'invalid_value', param },
    )
    assert.match(error.message, /too many members: at most 10000 are allowed/)
  }
  assert.equal(upstream.requests.length, 0)
})

test('names that every object has are parameters like others', async (t) => {
  const { ask, upstream } = await start(t)
  const asked = (name: string) => `{"model":"chat",${MESSAGES},"${name}":{"stream":true}}`
  for (const name of ['constructor', 'toString', '__defineGetter__', 'hasOwnProperty']) {
    const { status } = await ask('/v1/chat/completions', asked(name))
    assert.equal(status, 200, name)
    const sent = upstream.requests.at(-1)?.bytes.toString() ?? ''
    assert(sent.includes(`"${name}":{"stream":true}`), `the upstream is told of ${name}`)
    // What asks in another dialect than the upstream's is refused what that one has no word for.
    const other = `{"model":"chat","input":"Hi","store":false,"${name}":1}`
    const refused = await ask('/v1/responses', other)
    assert.deepEqual(
      [refused.status, refused.error.code, refused.error.param],
      [400, 'unsupported_parameter', name],
    )
  }
  const { status, error } = await ask('/v1/chat/completions', asked('__proto__'))
  assert.deepEqual([status, error.code], [400, 'invalid_value'])
  assert.match(error.message, /'__proto__'/)
})

test('our own runtime knows no parameter that every object has', async (t) => {
  const { post } = await startGateway(t)
  const response = await post('/v1/chat/completions', `{"model":"guide",${MESSAGES},"valueOf":1}`)
  const { error } = (await response.json()) as ErrorBody
  assert.deepEqual(
    [response.status, error.code, error.param],
    [400, 'unknown_parameter', 'valueOf'],
  )
})

test('a reason to end that nobody knows is no reason to break', async (t) => {
  const { ask, upstream } = await start(t)
  const choice = { index: 0, message: { role: 'assistant', content: 'Hi' } }
  upstream.script = (x) =>
    x.json(200, chatBody({}, { choices: [{ ...choice, finish_reason: 'constructor' }] }))
  const answered = await ask('/v1/chat/completions', `{"model":"chat",${MESSAGES}}`)
  assert.equal(answered.status, 200)
  assert.match(JSON.stringify(answered), /"finish_reason":"stop"/)
})

test('bytes that are no UTF-8 are refused, where decoding would change the prompt', async (t) => {
  const { ask, upstream } = await start(t)
  const body = Buffer.from(
    '{"model":"chat","messages":[{"role":"user","content":"caf\xE9"}]}',
    'latin1',
  )
  const { status, error } = await ask('/v1/chat/completions', new Uint8Array(body))
  assert.deepEqual([status, error.code], [400, 'invalid_json'])
  assert.match(error.message, /not UTF-8/)
  assert.equal(upstream.requests.length, 0)
  const good = await ask(
    '/v1/chat/completions',
    '\uFEFF{"model":"chat","messages":[{"role":"user","content":"café 🙂"}]}',
  )
  assert.equal(good.status, 200, 'a byte order mark says nothing')
  assert.equal(upstream.only.json.messages[0].content, 'café 🙂')
})

test('a number that JSON has no room for is told as what it became', async (t) => {
  const { ask } = await start(t)
  const { error } = await ask('/v1/chat/completions', `{"model":"chat",${MESSAGES},"seed":1e999}`)
  assert.match(error.message, /got Infinity\.$/)
})

test('a compressed body is told that it must not be', async (t) => {
  const { ask } = await start(t)
  const body = new Uint8Array(gzipSync(`{"model":"chat",${MESSAGES}}`))
  const { status, error } = await ask('/v1/chat/completions', body, { 'content-encoding': 'gzip' })
  assert.deepEqual([status, error.code], [415, 'unsupported_media_type'])
  assert.match(error.message, /content-encoding; got 'gzip'/)
})
