// Responses through the official client, over our own runtime and over a backend that can do more.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { APIError } from 'openai'

import { collect, KEY, LIVE, MODEL, startGateway } from '../support/gateway.ts'
import { DONE, ScriptedBackend, thinkingAndCalling } from '../support/scripted-backend.ts'
import { answerWith, delta, done, started, WORDS } from '../support/scripted-runtime.ts'

const ANSWER = WORDS.join('')
const ASKED = { model: MODEL, input: 'Hi', store: false }
const WEATHER = {
  type: 'function' as const,
  name: 'weather',
  parameters: { type: 'object', properties: { city: { type: 'string' } } },
  strict: null,
}

async function startScripted(t: TestContext) {
  const backend = new ScriptedBackend()
  const gateway = await startGateway(t, { deps: { routes: backend.routes() } })
  return { ...gateway, backend }
}

test('a response comes whole, with usage, settings and what made it', async (t) => {
  const { client, runtime, log } = await startGateway(t)
  const { data, response } = await client.responses
    .create({ ...ASKED, instructions: 'Be short.', temperature: 0.5, metadata: { a: 'b' } })
    .withResponse()

  assert.equal(data.output_text, ANSWER)
  assert.equal(data.status, 'completed')
  assert.equal(data.model, MODEL)
  assert.equal(data.instructions, 'Be short.')
  assert.equal(data.temperature, 0.5)
  assert.ok('store' in data && data.store === false)
  assert.deepEqual(data.metadata, { a: 'b' })
  assert.deepEqual(data.usage, {
    input_tokens: 7,
    input_tokens_details: { cached_tokens: 2, cache_write_tokens: 0 },
    output_tokens: 5,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: 12,
  })
  assert.equal(response.headers.get('x-headrace-version'), LIVE)
  assert.equal(data.id, `resp_${response.headers.get('x-request-id')?.replaceAll('-', '')}`)
  assert.deepEqual(runtime.requests[0]?.prompt, {
    kind: 'chat',
    messages: [
      { role: 'system', content: 'Be short.' },
      { role: 'user', content: 'Hi' },
    ],
  })
  assert.equal(runtime.requests[0]?.sampling.temperature, 0.5)
  const record = await log.onlyRecord()
  assert.equal(record.prompt, 'Hi')
  assert.deepEqual(record.answer, [ANSWER])
})

test('a streamed response tells its events in order and numbers them without a gap', async (t) => {
  const { client } = await startGateway(t)
  const events = await collect(await client.responses.create({ ...ASKED, stream: true }))

  assert.deepEqual(
    events.map(({ type }) => type),
    [
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      ...WORDS.map(() => 'response.output_text.delta'),
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ],
  )
  assert.deepEqual(
    events.map((event) => event.sequence_number),
    events.map((_, index) => index),
  )
  const texts = events.flatMap((event) =>
    event.type === 'response.output_text.delta' ? [event.delta] : [],
  )
  assert.deepEqual(texts, WORDS)
})

test('frames name their event, and nothing follows the last', async (t) => {
  const { post } = await startGateway(t)
  const body = await (await post('/v1/responses', { ...ASKED, stream: true })).text()
  for (const frame of body.split('\n\n').slice(0, -1)) {
    const [, name, type] = /^event: (\S+)\ndata: \{"type":"([^"]+)"/.exec(frame) ?? []
    assert.ok(name !== undefined && name === type, frame)
  }
  assert.doesNotMatch(body, /\[DONE\]/)
})

test("the client's own stream helper puts the response together again", async (t) => {
  const { client } = await startGateway(t)
  const whole = await client.responses.stream(ASKED).finalResponse()
  assert.equal(whole.output_text, ANSWER)
  assert.equal(whole.status, 'completed')
})

test('a response that is cut at its limit is incomplete and says so, streamed or not', async (t) => {
  const { client, runtime } = await startGateway(t)
  runtime.script = async function* () {
    yield started()
    yield delta('Hel')
    yield done(1, 'length')
    await Promise.resolve()
  }
  const asked = { ...ASKED, max_output_tokens: 16 }
  const whole = await client.responses.create(asked)
  const streamed = await client.responses.stream(asked).finalResponse()
  for (const response of [whole, streamed]) {
    assert.equal(response.status, 'incomplete')
    assert.deepEqual(response.incomplete_details, { reason: 'max_output_tokens' })
    assert.equal(response.output[0]?.type === 'message' && response.output[0].status, 'incomplete')
  }
  const events = await collect(await client.responses.create({ ...asked, stream: true }))
  assert.equal(events.at(-1)?.type, 'response.incomplete')
  assert.ok(events.every(({ type }) => type !== 'response.completed'))
})

test('an answer that breaks off is told as failed and as an error, and never as complete', async (t) => {
  const { client, post, runtime, log } = await startGateway(t)
  runtime.script = async function* () {
    yield started()
    yield delta('Hel')
    await Promise.resolve()
    throw new Error('a secret of the engine')
  }
  const types: string[] = []
  const streaming = async () => {
    for await (const event of await client.responses.create({ ...ASKED, stream: true })) {
      types.push(event.type)
      if (event.type !== 'response.failed') continue
      assert.equal(event.response.status, 'failed')
      assert.equal(event.response.error?.code, 'server_error')
      assert.equal(event.response.output[0]?.type, 'message')
    }
  }
  await assert.rejects(streaming, (error: APIError) => error.code === 'internal_error')
  assert.equal(types.at(-1), 'response.failed')
  assert.equal((await log.onlyRecord()).outcome, 'failed')

  await assert.rejects(client.responses.stream(ASKED).finalResponse())
  const body = await (await post('/v1/responses', { ...ASKED, stream: true })).text()
  assert.doesNotMatch(body, /response\.completed|secret/)
})

test('a refusal before the first delta is a status', async (t) => {
  const { client } = await startGateway(t)
  await assert.rejects(client.responses.create({ ...ASKED, model: 'nobody', stream: true }), {
    status: 404,
    code: 'model_not_found',
  })
})

test('text that would break a frame arrives as it is', async (t) => {
  const { client, runtime } = await startGateway(t)
  const words = ['line\n\nevent: error\n\n', '\u2028 "quoted" \\', '🦀', '\u0000']
  runtime.script = () => answerWith(words)
  assert.equal((await client.responses.stream(ASKED).finalResponse()).output_text, words.join(''))
})

test('log-probabilities come with the text where they are included', async (t) => {
  const { client, runtime } = await startGateway(t)
  const asked = {
    ...ASKED,
    include: ['message.output_text.logprobs' as const],
    top_logprobs: 2,
  }
  for (const response of [
    await client.responses.create(asked),
    await client.responses.stream(asked).finalResponse(),
  ]) {
    const [message] = response.output
    const part = message?.type === 'message' ? message.content[0] : undefined
    const logprobs = part?.type === 'output_text' ? part.logprobs : undefined
    assert.equal(logprobs?.length, WORDS.length)
    assert.equal(logprobs?.[0]?.top_logprobs.length, 2)
  }
  assert.equal(runtime.requests[0]?.sampling.logprobs, 2)
})

test('thoughts, a message and interleaved calls become items, the same streamed and not', async (t) => {
  const { client, backend } = await startScripted(t)
  backend.script = thinkingAndCalling
  const asked = { ...ASKED, tools: [WEATHER], reasoning: { effort: 'low' as const } }
  const whole = await client.responses.create(asked)
  const events = await collect(await client.responses.create({ ...asked, stream: true }))

  assert.deepEqual(
    whole.output.map((item) => item.type),
    ['reasoning', 'message', 'function_call', 'function_call'],
  )
  const [thoughts, , first, second] = whole.output
  assert.ok(thoughts?.type === 'reasoning')
  assert.equal(thoughts.content?.[0]?.text, 'Two cities: two calls.')
  assert.equal(thoughts.encrypted_content, 'proof')
  assert.ok(first?.type === 'function_call' && second?.type === 'function_call')
  assert.deepEqual([first.call_id, first.arguments], ['call_a', '{"city":"Rome"}'])
  assert.deepEqual([second.call_id, second.arguments], ['call_b', '{"city":"Oslo"}'])
  assert.equal(whole.usage?.output_tokens_details.reasoning_tokens, 3)

  const last = events.at(-1)
  assert.ok(last?.type === 'response.completed')
  const withoutIds = (output: typeof whole.output) => output.map((item) => ({ ...item, id: '' }))
  assert.deepEqual(withoutIds(last.response.output), withoutIds(whole.output))
  const put = await client.responses.stream(asked).finalResponse()
  assert.deepEqual(
    put.output.map((item) => item.type),
    whole.output.map((item) => item.type),
  )
  assert.equal(backend.lastChat.reasoningEffort, 'low')
  assert.deepEqual(backend.lastChat.tools[0]?.name, 'weather')
})

test('who asks for a summary of the thoughts is told them as one', async (t) => {
  const { client, backend } = await startScripted(t)
  backend.script = thinkingAndCalling
  const asked = { ...ASKED, reasoning: { summary: 'auto' as const }, stream: true as const }
  const events = await collect(await client.responses.create(asked))
  const types = events.map(({ type }) => type)
  assert.ok(types.includes('response.reasoning_summary_part.added'))
  assert.ok(types.includes('response.reasoning_summary_text.done'))
  assert.ok(!types.includes('response.reasoning_text.delta'))
  const last = events.at(-1)
  assert.ok(last?.type === 'response.completed')
  const [thoughts] = last.response.output
  assert.ok(thoughts?.type === 'reasoning')
  assert.equal(thoughts.summary[0]?.text, 'Two cities: two calls.')
})

test("a refusal in the model's own words is a part of the message", async (t) => {
  const { client, backend } = await startScripted(t)
  backend.script = function* () {
    yield { type: 'refusal', choice: 0, text: 'I will ' }
    yield { type: 'refusal', choice: 0, text: 'not.' }
    yield { type: 'finished', choice: 0, finishReason: 'stop' }
    yield DONE
  }
  for (const response of [
    await client.responses.create(ASKED),
    await client.responses.stream(ASKED).finalResponse(),
  ]) {
    const [message] = response.output
    assert.ok(message?.type === 'message')
    const [part] = message.content
    assert.equal(part?.type === 'refusal' && part.refusal, 'I will not.')
  }
})

test('an answer that a filter ended is incomplete', async (t) => {
  const { client, backend } = await startScripted(t)
  backend.script = function* () {
    yield { type: 'delta', choice: 0, text: 'Once', tokens: 1 }
    yield { type: 'finished', choice: 0, finishReason: 'content_filter' }
    yield DONE
  }
  const response = await client.responses.create(ASKED)
  assert.equal(response.status, 'incomplete')
  assert.deepEqual(response.incomplete_details, { reason: 'content_filter' })
})

test('an answer without a word is a response without output', async (t) => {
  const { client, backend } = await startScripted(t)
  backend.script = function* () {
    yield { type: 'finished', choice: 0, finishReason: 'stop' }
    yield DONE
  }
  assert.deepEqual((await client.responses.create(ASKED)).output, [])
  assert.deepEqual((await client.responses.stream(ASKED).finalResponse()).output, [])
})

test('a client that hangs up ends the work that was done for it', async (t) => {
  const { post, backend, log } = await startScripted(t)
  const { promise: aborted, resolve } = Promise.withResolvers<void>()
  backend.script = async function* (_question, signal) {
    signal.addEventListener('abort', () => resolve())
    yield { type: 'delta', choice: 0, text: 'Hel', tokens: 1 }
    await aborted
    signal.throwIfAborted()
  }
  const leaving = new AbortController()
  const init = {
    signal: leaving.signal,
    headers: { 'content-type': 'application/json', authorization: `Bearer ${KEY}` },
  }
  const response = await post('/v1/responses', { ...ASKED, stream: true }, init)
  await response.body?.getReader().read()
  leaving.abort()
  await aborted
  assert.equal((await log.onlyRecord()).outcome, 'cancelled')
})
