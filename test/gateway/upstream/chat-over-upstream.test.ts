// Chats of official clients over an upstream: what is seen of the whole way.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { answerChat, chatBody, chunk, usageChunk } from '../../support/openai-wire.ts'
import {
  FAR_MODEL,
  routeTo,
  startUpstreamGateway,
  UPSTREAM_KEY,
} from '../../support/upstream-gateway.ts'

const asked = { model: FAR_MODEL, messages: [{ role: 'user' as const, content: 'Hi' }] }

test('a chat is answered by the upstream, under the name that the client knows', async (t) => {
  const { client, upstream, log } = await startUpstreamGateway(t)
  upstream.script = answerChat(['Hel', 'lo'])
  const { data, response } = await client.chat.completions.create(asked).withResponse()
  assert.equal(data.choices[0]?.message.content, 'Hello')
  assert.equal(data.model, FAR_MODEL)
  assert.equal(data.usage?.prompt_tokens_details?.cached_tokens, 5)
  assert.equal(response.headers.get('x-headrace-target'), 'there')
  assert.equal(upstream.only.json.model, 'gpt-far')
  const record = await log.onlyRecord()
  assert.equal(record.outcome, 'completed')
  assert.equal(record.upstream, 'there')
  assert.equal(record.completionTokens, 4)
  assert.equal(record.isUsageEstimated, false)
})

test('a stream is told as it comes', async (t) => {
  const { client, upstream } = await startUpstreamGateway(t)
  const { promise: isSeen, resolve } = Promise.withResolvers<void>()
  upstream.script = async (x) => {
    await x.stream([chunk({ content: 'Hel' })])
    await isSeen
    await x.stream([chunk({ content: 'lo' }), chunk({}, 'stop'), '[DONE]'])
    await x.end()
  }
  let text = ''
  for await (const each of await client.chat.completions.create({ ...asked, stream: true })) {
    text += each.choices[0]?.delta.content ?? ''
    if (text !== '') resolve()
  }
  assert.equal(text, 'Hello')
})

test('tools go there and calls come back', async (t) => {
  const { client, upstream } = await startUpstreamGateway(t)
  const call = { id: 'a', type: 'function', function: { name: 'add', arguments: '{"x":1}' } }
  upstream.script = (x) => x.json(200, chatBody({ content: null, tool_calls: [call] }))
  const { choices } = await client.chat.completions.create({
    ...asked,
    tools: [{ type: 'function', function: { name: 'add', parameters: { type: 'object' } } }],
  })
  assert.equal(choices[0]?.finish_reason, 'tool_calls')
  assert.deepEqual(choices[0]?.message.tool_calls, [call])
  assert.equal(upstream.only.json.tools[0].function.name, 'add')
})

test("a call's arguments are told as they come, each with the index of its call", async (t) => {
  const { client, upstream } = await startUpstreamGateway(t)
  const { promise: isRead, resolve } = Promise.withResolvers<void>()
  const call = (index: number, more: object) => chunk({ tool_calls: [{ index, ...more }] })
  const opening = (index: number, name: string) =>
    call(index, { id: `id-${name}`, type: 'function', function: { name, arguments: '' } })
  const piece = (index: number, text: string) => call(index, { function: { arguments: text } })
  upstream.script = async (x) => {
    await x.stream([opening(0, 'add'), piece(0, '{"x":')])
    // Nothing more before the client has this.
    await isRead
    await x.stream([piece(0, '1}'), opening(1, 'sub'), piece(1, '{}'), chunk({}, 'tool_calls')])
    await x.stream([usageChunk(), '[DONE]'])
    await x.end()
  }
  const calls: { id: string; name: string; text: string }[] = []
  for await (const { choices } of await client.chat.completions.create({
    ...asked,
    stream: true,
    tools: [{ type: 'function', function: { name: 'add', parameters: { type: 'object' } } }],
  })) {
    for (const { index, id, function: said } of choices[0]?.delta.tool_calls ?? []) {
      const one = (calls[index] ??= { id: id ?? '', name: said?.name ?? '', text: '' })
      one.text += said?.arguments ?? ''
      if (one.text !== '') resolve()
    }
  }
  assert.deepEqual(calls, [
    { id: 'id-add', name: 'add', text: '{"x":1}' },
    { id: 'id-sub', name: 'sub', text: '{}' },
  ])
})

test("the upstream's refused key is never the client's 401", async (t) => {
  const { client, upstream, log } = await startUpstreamGateway(t)
  const message = `Incorrect API key provided: ${UPSTREAM_KEY}`
  upstream.script = (x) => x.json(401, { error: { message, code: 'invalid_api_key' } })
  await assert.rejects(client.chat.completions.create(asked), (error: { status: number }) => {
    assert.equal(error.status, 502)
    assert(!JSON.stringify(error).includes(UPSTREAM_KEY))
    return true
  })
  const record = await log.onlyRecord()
  assert.equal(record.errorCode, 'upstream_auth')
  assert.match(record.errorMessage ?? '', /status 401: Incorrect API key provided: \[redacted\]/)
})

test('a cut stream ends with an error and without [DONE], and its row says so', async (t) => {
  const { post, upstream, log } = await startUpstreamGateway(t)
  upstream.script = async (x) => {
    await x.stream([chunk({ content: 'Hel' })])
    await x.delay(20)
    x.cut()
  }
  const response = await post('/v1/chat/completions', { ...asked, stream: true })
  assert.equal(response.status, 200)
  const body = await response.text()
  assert.match(body, /"code":"upstream_error"/)
  assert(!body.includes('[DONE]'))
  const record = await log.onlyRecord()
  assert.equal(record.outcome, 'failed')
  assert.equal(record.errorCode, 'upstream_error')
  assert.equal(record.isUsageEstimated, true)
})

test('a client that leaves takes its call to the upstream with it', async (t) => {
  const { client, upstream, log } = await startUpstreamGateway(t)
  upstream.script = (x) => x.stream([chunk({ content: 'Hel' })]).then(() => x.stall())
  const stream = await client.chat.completions.create({ ...asked, stream: true })
  for await (const _ of stream) break
  await upstream.only.hungUp
  assert.equal((await log.onlyRecord()).outcome, 'cancelled')
})

test('a client that reads slowly holds the upstream back', async (t) => {
  const { url, upstream } = await startUpstreamGateway(t)
  let written = 0
  upstream.script = async (x) => {
    while (!x.request.isHungUp) {
      await x.stream([chunk({ content: 'x'.repeat(32 * 1024) })])
      written += 32 * 1024
    }
  }
  const { connect } = await import('node:net')
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  const body = JSON.stringify({ ...asked, stream: true })
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer hr_a-key-of-the-tests\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  )
  socket.pause()
  await upstream.received(1)
  let before = -1
  while (written !== before) {
    before = written
    await new Promise((resolve) => setTimeout(resolve, 150))
  }
  assert(written < 32 * 1024 * 1024, `${written} bytes were taken`)
  socket.destroy()
  await upstream.only.hungUp
})

test("a prompt that the upstream finds at fault is the client's error, in its words", async (t) => {
  const { client, upstream } = await startUpstreamGateway(t)
  const error = { message: 'Invalid schema for function.', param: 'tools[0]', code: 'invalid' }
  upstream.script = (x) => x.json(400, { error })
  await assert.rejects(client.chat.completions.create(asked), {
    status: 400,
    param: 'tools[0]',
    message: '400 Invalid schema for function.',
  })
})

test('a rate limit comes with its retry-after', async (t) => {
  const { post, upstream } = await startUpstreamGateway(t)
  upstream.script = (x) => x.json(429, { error: { message: 'slow' } }, { 'retry-after': '11' })
  const response = await post('/v1/chat/completions', asked)
  assert.equal(response.status, 429)
  assert.equal(response.headers.get('retry-after'), '11')
})

test('an answer that comes whole may take longer than a first token, and not than a whole answer', async (t) => {
  const { client, upstream, routes, target } = await startUpstreamGateway(t)
  const timeouts = { firstTokenMs: 50, stallMs: 50, totalMs: 2_000 }
  routes.set(FAR_MODEL, routeTo([{ ...target, timeouts }]))
  upstream.script = (x) => x.delay(150).then(() => answerChat(['Hello'])(x))
  const answer = await client.chat.completions.create(asked)
  assert.equal(answer.choices[0]?.message.content, 'Hello')
  await assert.rejects(client.chat.completions.create({ ...asked, stream: true }), { status: 504 })
  routes.set(FAR_MODEL, routeTo([{ ...target, timeouts: { totalMs: 50 } }]))
  await assert.rejects(client.chat.completions.create(asked), { status: 504 })
})
