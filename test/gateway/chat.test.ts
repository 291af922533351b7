// Chat completions through the official client.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { CHAT, LIVE, MODEL, collect, startGateway } from '../support/gateway.ts'
import { answerWith, delta, done, started, WORDS } from '../support/scripted-runtime.ts'

const ANSWER = WORDS.join('')

test('a chat completion comes whole, with usage and what made it', async (t) => {
  const { client, runtime } = await startGateway(t)
  const { data, response } = await client.chat.completions.create(CHAT).withResponse()

  assert.equal(data.choices[0]?.message.content, ANSWER)
  assert.equal(data.choices[0]?.finish_reason, 'stop')
  assert.equal(data.model, MODEL)
  assert.equal(data.system_fingerprint, LIVE)
  assert.deepEqual(data.usage, {
    prompt_tokens: 7,
    completion_tokens: 5,
    total_tokens: 12,
    prompt_tokens_details: { cached_tokens: 2 },
  })
  assert.equal(response.headers.get('x-headrace-version'), LIVE)
  assert.equal(data.id, `chatcmpl-${response.headers.get('x-request-id')}`)
  assert.deepEqual(runtime.requests[0]?.prompt, { kind: 'chat', messages: CHAT.messages })
})

test('a streamed chat completion gives the role, each piece, the reason and the usage asked for', async (t) => {
  const { client } = await startGateway(t)
  const stream = await client.chat.completions.create({
    ...CHAT,
    stream: true,
    stream_options: { include_usage: true },
  })
  const chunks = await collect(stream)

  assert.equal(chunks[0]?.choices[0]?.delta.role, 'assistant')
  const contents = chunks.map((chunk) => chunk.choices[0]?.delta.content).filter(Boolean)
  assert.deepEqual(contents, WORDS)
  assert.equal(chunks.at(-2)?.choices[0]?.finish_reason, 'stop')
  assert.deepEqual(chunks.at(-1)?.choices, [])
  assert.equal(chunks.at(-1)?.usage?.completion_tokens, 5)
  assert.ok(chunks.slice(0, -1).every((chunk) => chunk.usage === null))
  assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1)
})

test('a stream without include_usage has no usage at all and ends with [DONE]', async (t) => {
  const { post } = await startGateway(t)
  const response = await post('/v1/chat/completions', { ...CHAT, stream: true })
  const body = await response.text()

  assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/)
  assert.equal(response.headers.get('cache-control'), 'no-cache')
  assert.equal(response.headers.get('x-accel-buffering'), 'no')
  assert.doesNotMatch(body, /usage/)
  assert.ok(body.endsWith('data: [DONE]\n\n'))
})

test("the client's own stream helper puts the answer together again", async (t) => {
  const { client } = await startGateway(t)
  const stream = client.chat.completions.stream({ ...CHAT, n: 2 })
  const whole = await stream.finalChatCompletion()
  assert.deepEqual(
    whole.choices.map((choice) => choice.message.content),
    [ANSWER, ANSWER],
  )
})

test('text that would break a frame arrives as it is', async (t) => {
  const { client, runtime } = await startGateway(t)
  const words = ['line\n\ndata: [DONE]\n\n', '\u2028 "quoted" \\', '🦀', '\u0000']
  runtime.script = () => answerWith(words)
  const stream = await client.chat.completions.create({ ...CHAT, stream: true })
  let text = ''
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''
  assert.equal(text, words.join(''))
})

test('n choices are n requests to the engine, with seeds that follow each other', async (t) => {
  const { client, runtime, log } = await startGateway(t)
  runtime.script = (request) => answerWith([`seed ${request.sampling.seed}`])
  const { choices, usage } = await client.chat.completions.create({ ...CHAT, n: 3, seed: 41 })

  assert.deepEqual(
    choices.map((choice) => choice.message.content),
    ['seed 41', 'seed 42', 'seed 43'],
  )
  // The prompt counts once, however many answers it got.
  assert.equal(usage?.prompt_tokens, 7)
  assert.equal(usage?.completion_tokens, 3)
  assert.equal(new Set(runtime.requests.map(({ id }) => id)).size, 3)
  const record = await log.onlyRecord()
  assert.deepEqual(record.answer, ['seed 41', 'seed 42', 'seed 43'])
  assert.deepEqual(record.finishReasons, ['stop', 'stop', 'stop'])
  assert.equal(record.promptTokens, 7)
})

test('one choice that fails takes the others with it', async (t) => {
  const { client, runtime } = await startGateway(t)
  runtime.script = async function* (request, signal) {
    yield started()
    if (request.id.endsWith('-1')) throw new Error('a bug in the engine')
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    signal.throwIfAborted()
  }
  await assert.rejects(client.chat.completions.create({ ...CHAT, n: 3 }), { status: 500 })
  assert.equal(runtime.cancelled.length, 3)
})

test('log-probabilities have the shape of the chat API', async (t) => {
  const { client, runtime } = await startGateway(t)
  const asked = { ...CHAT, logprobs: true, top_logprobs: 2 }
  const { choices } = await client.chat.completions.create(asked)

  const content = choices[0]?.logprobs?.content
  assert.equal(content?.length, WORDS.length)
  assert.equal(content?.[0]?.token, 'Hello')
  assert.equal(content?.[0]?.top_logprobs.length, 2)
  assert.equal(runtime.requests[0]?.sampling.logprobs, 2)

  const chunks = await collect(await client.chat.completions.create({ ...asked, stream: true }))
  assert.equal(chunks[1]?.choices[0]?.logprobs?.content?.[0]?.token, 'Hello')
})

test('sampling parameters reach the engine in its own terms', async (t) => {
  const { post, runtime } = await startGateway(t)
  const response = await post('/v1/chat/completions', {
    ...CHAT,
    model: 'guide@1',
    temperature: 0,
    top_p: 0.5,
    top_k: 40,
    min_p: 0.1,
    seed: -3,
    presence_penalty: 1,
    frequency_penalty: -1,
    repetition_penalty: 1.1,
    logit_bias: { 17: -100 },
    stop: 'END',
    max_completion_tokens: 9,
    // What asks for nothing is accepted.
    user: 'u',
    metadata: { a: 'b' },
    store: false,
    service_tier: 'auto',
    parallel_tool_calls: true,
    safety_identifier: 's',
    prompt_cache_key: 'k',
    tool_choice: 'none',
    tools: [],
    response_format: { type: 'text' },
    modalities: ['text'],
    n: null,
  })
  assert.equal(response.status, 200)
  const { sampling, stop, maxTokens, version } = runtime.requests[0] ?? {}
  assert.deepEqual(JSON.parse(JSON.stringify(sampling)), {
    temperature: 0,
    topP: 0.5,
    topK: 40,
    minP: 0.1,
    seed: -3,
    presencePenalty: 1,
    frequencyPenalty: -1,
    repetitionPenalty: 1.1,
    logitBias: { 17: -100 },
  })
  assert.deepEqual(
    { stop, maxTokens, version },
    { stop: ['END'], maxTokens: 9, version: 'guide@1' },
  )
})

test('text parts of a message become one text', async (t) => {
  const { client, runtime } = await startGateway(t)
  await client.chat.completions.create({
    model: MODEL,
    messages: [
      { role: 'developer', content: 'Be brief.' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'one' },
          { type: 'text', text: 'two' },
        ],
      },
      // As given by an earlier answer.
      { role: 'assistant', content: 'ok', refusal: null },
    ],
  })
  assert.deepEqual(runtime.requests[0]?.prompt, {
    kind: 'chat',
    messages: [
      { role: 'developer', content: 'Be brief.' },
      { role: 'user', content: 'one\ntwo' },
      { role: 'assistant', content: 'ok' },
    ],
  })
})

test('a version that is not loaded is loaded once for all who ask for it', async (t) => {
  const { client, runtime } = await startGateway(t)
  runtime.onLoad = () => new Promise((resolve) => setTimeout(resolve, 20))
  const asked = { ...CHAT, model: 'other' }
  const answers = await Promise.all([1, 2, 3].map(() => client.chat.completions.create(asked)))
  assert.ok(answers.every(({ choices }) => choices[0]?.message.content === ANSWER))
  assert.equal(runtime.loads, 1)
})

test('a version that takes too long to load is told so, and is there later', async (t) => {
  const { client, runtime } = await startGateway(t, { loadWaitMs: 20 })
  const { promise: isLoaded, resolve: load } = Promise.withResolvers<void>()
  runtime.onLoad = () => isLoaded
  const asked = { ...CHAT, model: 'other' }
  await assert.rejects(client.chat.completions.create(asked), {
    status: 503,
    code: 'model_loading',
  })
  load()
  const { choices } = await client.chat.completions.create(asked)
  assert.equal(choices[0]?.message.content, ANSWER)
  assert.equal(runtime.loads, 1)
})

test('an answer of no tokens is an answer', async (t) => {
  const { client, runtime } = await startGateway(t)
  runtime.script = async function* () {
    yield started()
    yield done(0)
  }
  const { choices } = await client.chat.completions.create(CHAT)
  assert.equal(choices[0]?.message.content, '')
  const chunks = await collect(await client.chat.completions.create({ ...CHAT, stream: true }))
  assert.deepEqual(
    chunks.map((chunk) => chunk.choices[0]?.finish_reason),
    [null, 'stop'],
  )
})

test('a client that reads slowly slows its own answer and loses nothing', async (t) => {
  const { post, runtime } = await startGateway(t)
  const piece = 'x'.repeat(64 * 1024)
  const pieces = 200
  let produced = 0
  runtime.script = async function* () {
    yield started()
    for (; produced < pieces; produced++) {
      yield delta(piece)
      await new Promise((resolve) => setImmediate(resolve))
    }
    yield done(pieces)
  }
  const response = await post('/v1/chat/completions', { ...CHAT, stream: true })
  await new Promise((resolve) => setTimeout(resolve, 150))
  assert.ok(produced < pieces, 'everything was produced although nobody read')
  const body = await response.text()
  assert.equal(body.match(/"content":"x/g)?.length, pieces)
  assert.ok(body.endsWith('data: [DONE]\n\n'))
})
