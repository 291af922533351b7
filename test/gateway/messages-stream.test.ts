// What a stream of Anthropic's dialect says beside the answer: how long the prompt was, and that it goes on.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import Anthropic from '@anthropic-ai/sdk'

import { CHAT, collect, KEY, MODEL, startGateway } from '../support/gateway.ts'
import { delta, done, started } from '../support/scripted-runtime.ts'
import { saying, ScriptedBackend } from '../support/scripted-backend.ts'
import type { GatewayOptions } from '../support/gateway.ts'

const ASKED = {
  model: MODEL,
  max_tokens: 50,
  messages: [{ role: 'user' as const, content: 'Hello, hello' }],
}

async function start(t: TestContext, deps: GatewayOptions['deps'] = {}) {
  const gateway = await startGateway(t, { deps })
  const anthropic = new Anthropic({ baseURL: gateway.url, apiKey: KEY, maxRetries: 0 })
  return { ...gateway, anthropic }
}

test('a stream begins with the tokens of its prompt, as they were counted', async (t) => {
  const { anthropic } = await start(t)
  const [first] = await collect(await anthropic.messages.create({ ...ASKED, stream: true }))
  assert(first?.type === 'message_start')
  const { input_tokens: fresh, cache_read_input_tokens: cached } = first.message.usage
  assert.deepEqual([fresh, cached], [5, 2])
})

test('where nobody has counted yet they are estimated, and the end says how many there were', async (t) => {
  const backend = new ScriptedBackend()
  backend.script = () => saying('Hello')
  const { anthropic } = await start(t, { routes: backend.routes() })
  const events = await collect(await anthropic.messages.create({ ...ASKED, stream: true }))
  const [first] = events
  assert(first?.type === 'message_start')
  // Three of its twelve characters, four around them.
  assert.equal(first.message.usage.input_tokens, 7)
  const last = events.find((event) => event.type === 'message_delta')
  assert.notEqual(last?.usage.input_tokens, 7)
})

test('a model that pauses is heard of: pings come until its next word, and none before the first', async (t) => {
  const { post, runtime } = await start(t, { pulseMs: 5 })
  const { promise: mayGoOn, resolve: goOn } = Promise.withResolvers<void>()
  runtime.script = async function* () {
    yield started()
    await new Promise((resolve) => setTimeout(resolve, 30))
    yield delta('One')
    await mayGoOn
    yield delta(' two')
    yield done(2)
  }
  const response = await post('/v1/messages', { ...ASKED, stream: true })
  let text = ''
  const decoder = new TextDecoder()
  for await (const bytes of response.body!) {
    text += decoder.decode(bytes as Uint8Array, { stream: true })
    if ((text.match(/event: ping/g) ?? []).length >= 4) goOn()
  }
  const names = [...text.matchAll(/^event: (\w+)$/gm)].map(([, name]) => name)
  assert.deepEqual(names.slice(0, 4), [
    'message_start',
    'ping',
    'content_block_start',
    'content_block_delta',
  ])
  const rest = names.slice(4)
  const pings = rest.filter((name) => name === 'ping').length
  assert(pings >= 3)
  assert.deepEqual(
    rest.filter((name) => name !== 'ping'),
    ['content_block_delta', 'content_block_stop', 'message_delta', 'message_stop'],
  )
})

test("streams of a dialect that has no pings stay as OpenAI's clients know them", async (t) => {
  const { post, runtime } = await start(t, { pulseMs: 5 })
  runtime.script = async function* () {
    yield started()
    yield delta('One')
    await new Promise((resolve) => setTimeout(resolve, 40))
    yield done(1)
  }
  const response = await post('/v1/chat/completions', { ...CHAT, stream: true })
  assert.doesNotMatch(await response.text(), /ping/)
})

test('addresses and methods that there are not are told in the dialect', async (t) => {
  const { url, anthropic } = await start(t)
  const cases = [
    ['GET', '/v1/messages', 405, 'invalid_request_error', /this URL takes POST\./],
    ['DELETE', '/v1/messages/count_tokens', 405, 'invalid_request_error', /takes POST\./],
    ['POST', '/v1/messages/batches', 404, 'not_found_error', /Unknown URL/],
  ] as const
  for (const [method, path, status, type, words] of cases) {
    const response = await fetch(url + path, { method })
    assert.equal(response.status, status)
    const body = (await response.json()) as {
      type: string
      error: { type: string; message: string }
      request_id: string
    }
    assert.deepEqual([body.type, body.error.type], ['error', type])
    assert.match(body.error.message, words)
    assert.equal(body.request_id, response.headers.get('x-request-id'))
  }
  await assert.rejects(anthropic.messages.batches.list(), Anthropic.NotFoundError)
  const elsewhere = await fetch(`${url}/v1/messagess`)
  assert.match(await elsewhere.text(), /"code":"unknown_url"/)
})
