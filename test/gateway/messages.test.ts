// Messages through Anthropic's official client, over our own engine.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import Anthropic from '@anthropic-ai/sdk'

import { collect, KEY, LIVE, MODEL, startGateway } from '../support/gateway.ts'
import { answerWith, delta, failure, started, WORDS } from '../support/scripted-runtime.ts'

const ANSWER = WORDS.join('')
const ASKED = { model: MODEL, max_tokens: 50, messages: [{ role: 'user' as const, content: 'Hi' }] }
/** which the client sends, though its newest types leave them out */
const SAMPLING = { temperature: 0.5, top_k: 7 }
const WEATHER = { name: 'weather', input_schema: { type: 'object' as const } }

async function start(t: TestContext) {
  const gateway = await startGateway(t)
  const anthropic = new Anthropic({ baseURL: gateway.url, apiKey: KEY, maxRetries: 0 })
  return { ...gateway, anthropic }
}

test('a message comes whole, with usage and what made it', async (t) => {
  const { anthropic, runtime, log } = await start(t)
  const {
    data,
    response,
    request_id: requestId,
  } = await anthropic.messages
    .create({ ...ASKED, ...SAMPLING, system: 'Be brief.', stop_sequences: ['END'] })
    .withResponse()

  assert.deepEqual(data.content, [{ type: 'text', text: ANSWER, citations: null }])
  assert.equal(data.type, 'message')
  assert.equal(data.role, 'assistant')
  assert.equal(data.model, MODEL)
  assert.equal(data.stop_reason, 'end_turn')
  assert.equal(data.usage.input_tokens, 5)
  assert.equal(data.usage.cache_read_input_tokens, 2)
  assert.equal(data.usage.output_tokens, 5)
  assert.equal(response.headers.get('x-headrace-version'), LIVE)
  assert.equal(requestId, response.headers.get('x-request-id'))
  assert.equal(data.id, `msg_${requestId}`)

  const [asked] = runtime.requests
  assert.deepEqual(asked?.prompt, {
    kind: 'chat',
    messages: [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hi' },
    ],
  })
  assert.deepEqual(asked?.stop, ['END'])
  assert.equal(asked?.maxTokens, 50)
  assert.equal(asked?.sampling.temperature, 0.5)
  assert.equal(asked?.sampling.topK, 7)
  const record = await log.onlyRecord()
  assert.equal(record.route, '/v1/messages')
  assert.equal(record.outcome, 'completed')
})

test('a streamed message gives its events in the order of the dialect', async (t) => {
  const { anthropic } = await start(t)
  const stream = await anthropic.messages.create({ ...ASKED, stream: true })
  const events = await collect(stream)
  const types = events.map(({ type }) => type)
  assert.deepEqual(types, [
    'message_start',
    'content_block_start',
    ...WORDS.map(() => 'content_block_delta'),
    'content_block_stop',
    'message_delta',
    'message_stop',
  ])
  const [, opened] = events
  assert(opened?.type === 'content_block_start')
  assert.equal(opened.index, 0)
  const [end] = events.slice(-2)
  assert(end?.type === 'message_delta')
  assert.equal(end.delta.stop_reason, 'end_turn')
  assert.equal(end.usage.input_tokens, 5)
  assert.equal(end.usage.output_tokens, 5)
})

test('every frame is named as what is in it, and a ping comes behind the first', async (t) => {
  const { post } = await start(t)
  const response = await post('/v1/messages', { ...ASKED, stream: true })
  assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/)
  assert.equal(response.headers.get('request-id'), response.headers.get('x-request-id'))
  const frames = (await response.text()).split('\n\n').filter(Boolean)
  const names = frames.map((frame) => {
    const [, name, data] = /^event: (\w+)\ndata: (.*)$/.exec(frame) ?? []
    assert.equal((JSON.parse(data ?? '') as { type: string }).type, name)
    return name
  })
  assert.deepEqual(names.slice(0, 2), ['message_start', 'ping'])
})

test("the client's own stream helper puts the message together again", async (t) => {
  const { anthropic } = await start(t)
  const stream = anthropic.messages.stream(ASKED)
  const message = await stream.finalMessage()
  assert.equal(await stream.finalText(), ANSWER)
  assert.equal(message.usage.input_tokens, 5)
  assert.equal(message.usage.output_tokens, 5)
  assert.equal(message.stop_reason, 'end_turn')
})

test('a client that wants no thoughts gets its answer', async (t) => {
  const { anthropic } = await start(t)
  const answer = await anthropic.messages.create({ ...ASKED, thinking: { type: 'disabled' } })
  assert.equal(answer.stop_reason, 'end_turn')
})

test('text that would break a frame arrives as it is', async (t) => {
  const { anthropic, runtime } = await start(t)
  const words = ['line\n\nevent: message_stop\ndata: {}\n\n', '\u2028 "quoted" \\', '🦀', '\u0000']
  runtime.script = () => answerWith(words)
  assert.equal(await anthropic.messages.stream(ASKED).finalText(), words.join(''))
})

test('an answer that ran into its bound says so', async (t) => {
  const { anthropic, runtime } = await start(t)
  runtime.script = async function* () {
    for await (const event of answerWith(['a', 'b'])) {
      yield event.type === 'done' ? { ...event, finishReason: 'length' } : event
    }
  }
  const message = await anthropic.messages.create(ASKED)
  assert.equal(message.stop_reason, 'max_tokens')
})

test('a stream that breaks ends with an error and without its last events', async (t) => {
  const { anthropic, post, runtime } = await start(t)
  runtime.script = async function* () {
    yield started()
    yield delta('Hel')
    throw failure('engine_lost', 'It ended.')
  }
  await assert.rejects(anthropic.messages.stream(ASKED).finalMessage(), (error) => {
    assert(error instanceof Anthropic.APIError)
    assert.equal(error.type, 'api_error')
    return true
  })
  const text = await (await post('/v1/messages', { ...ASKED, stream: true })).text()
  assert.match(text, /\nevent: error\ndata: \{"type":"error".*\n\n$/)
  assert.doesNotMatch(text, /message_delta|message_stop/)
})

test('the key is taken from either header', async (t) => {
  const { url } = await start(t)
  const ask = (headers: Record<string, string>) =>
    fetch(`${url}/v1/messages`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(ASKED),
    })
  assert.equal((await ask({ 'x-api-key': KEY })).status, 200)
  assert.equal((await ask({ authorization: `Bearer ${KEY}` })).status, 200)
  assert.equal((await ask({ 'x-api-key': `${KEY}x` })).status, 401)
  assert.equal((await ask({ 'x-api-key': '' })).status, 401)
})

test("errors are the client's own classes, and their bodies are of the dialect", async (t) => {
  const { anthropic, url, runtime } = await start(t)
  const wrong = new Anthropic({ baseURL: url, apiKey: 'hr_wrong', maxRetries: 0 })
  await assert.rejects(wrong.messages.create(ASKED), (error) => {
    assert(error instanceof Anthropic.AuthenticationError)
    assert.equal(error.type, 'authentication_error')
    const body = error.error as { type: string; request_id: string }
    assert.equal(body.type, 'error')
    assert.equal(body.request_id, error.requestID)
    return true
  })
  await assert.rejects(anthropic.messages.create({ ...ASKED, model: 'nobody' }), (error) => {
    assert(error instanceof Anthropic.NotFoundError)
    assert.equal(error.type, 'not_found_error')
    return true
  })
  await assert.rejects(anthropic.messages.create({ ...ASKED, max_tokens: 0 }), (error) => {
    assert(error instanceof Anthropic.BadRequestError)
    assert.equal(error.type, 'invalid_request_error')
    assert.match(error.apiMessage ?? '', /'max_tokens' must be an integer/)
    return true
  })
  runtime.script = () => {
    throw failure('overloaded', 'Full.')
  }
  await assert.rejects(anthropic.messages.create(ASKED), (error) => {
    assert(error instanceof Anthropic.InternalServerError)
    assert.equal(error.type, 'overloaded_error')
    assert.equal(error.headers?.get('retry-after'), '1')
    return true
  })
})

test('what never becomes a request is told in the dialect too', async (t) => {
  const { post } = await start(t)
  const bodies = { '{"model":': 400, '[]': 400, [`"${'x'.repeat(70_000)}"`]: 413 }
  for (const [body, status] of Object.entries(bodies)) {
    const response = await post('/v1/messages', body)
    const told = (await response.json()) as { type: string; error: { type: string } }
    assert.equal(response.status, status)
    assert.equal(told.type, 'error')
    assert.equal(told.error.type, status === 413 ? 'request_too_large' : 'invalid_request_error')
    assert.equal(response.headers.get('request-id'), response.headers.get('x-request-id'))
  }
})

/** what the engine can't take → what the client is told about */
const REFUSED: Record<string, [object, RegExp]> = {
  tools: [{ tools: [WEATHER] }, /'tools'/],
  'results of tools': [
    {
      messages: [
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a', content: 'rain' }] },
      ],
    },
    /tool/,
  ],
  images: [
    {
      messages: [
        {
          role: 'user',
          content: [
            { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBO' } },
          ],
        },
      ],
    },
    /an image/,
  ],
  thinking: [{ thinking: { type: 'enabled', budget_tokens: 1024 } }, /'thinking'/],
  'a parameter that nobody knows': [{ temprature: 1 }, /'temprature'/],
  'tools that the upstream runs': [
    { tools: [{ type: 'web_search_20250305', name: 'web_search' }] },
    /web_search_20250305.*tools\[0\]/,
  ],
  'blocks of such tools': [
    { messages: [{ role: 'assistant', content: [{ type: 'server_tool_use', id: 'a' }] }] },
    /messages\[0\]\.content\[0\]/,
  ],
  'a role that there isn’t': [
    { messages: [{ role: 'tool', content: 'x' }] },
    /messages\[0\]\.role/,
  ],
  'a message without content': [{ messages: [{ role: 'user' }] }, /messages\[0\]\.content/],
  'no bound': [{ max_tokens: undefined }, /'max_tokens'/],
}

for (const [what, [more, told]] of Object.entries(REFUSED)) {
  test(`${what} are refused by name`, async (t) => {
    const { post, runtime } = await start(t)
    const response = await post('/v1/messages', { ...ASKED, ...more })
    const body = (await response.json()) as { type: string; error: Record<string, string> }
    assert.equal(response.status, 400, JSON.stringify(body))
    assert.equal(body.error['type'], 'invalid_request_error')
    assert.match(body.error['message'] ?? '', told)
    assert.equal(runtime.requests.length, 0)
  })
}

test('tokens that the engine does not count are estimated, and the answer says so', async (t) => {
  const { anthropic, runtime } = await start(t)
  const { model, messages } = ASKED
  const long = [{ role: 'user' as const, content: 'word '.repeat(400) }]
  const { data, response } = await anthropic.messages
    .countTokens({ model, messages: long })
    .withResponse()
  assert.equal(response.headers.get('x-headrace-token-count'), 'estimated')
  assert(data.input_tokens > 400 && data.input_tokens < 600, String(data.input_tokens))
  const short = await anthropic.messages.countTokens({ model, messages })
  assert(short.input_tokens < 20)
  assert.equal(runtime.requests.length, 0)
})
