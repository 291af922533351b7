// What is refused: always in OpenAI's error body, always naming what was wrong.

import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'

import OpenAI from 'openai'

import { CHAT, KEY, MODEL, collect, startGateway } from '../support/gateway.ts'
import { failure } from '../support/scripted-runtime.ts'

interface ErrorBody {
  error: { message: string; type: string; param: string | null; code: string | null }
}

/** body, code, parameter, what the message has to say */
type Case = [unknown, string, string | null, RegExp]

const TEXT = { model: MODEL, prompt: 'x' }
const user = (content: unknown) => ({ ...CHAT, messages: [{ role: 'user', content }] })

const BAD_CHATS: Case[] = [
  ['{"model": "guide",', 'invalid_json', null, /not valid JSON/],
  ['', 'empty_body', null, /empty/],
  ['[]', 'invalid_type', null, /must be a JSON object; got an array/],
  ['"hi"', 'invalid_type', null, /must be a JSON object; got "hi"/],
  [{ messages: CHAT.messages }, 'missing_required_parameter', 'model', /model/],
  [{ model: MODEL }, 'missing_required_parameter', 'messages', /messages/],
  [{ ...CHAT, model: 7 }, 'invalid_type', 'model', /a string; got 7/],
  [{ ...CHAT, model: '' }, 'invalid_value', 'model', /characters/],
  [{ ...CHAT, messages: 'hi' }, 'invalid_type', 'messages', /an array; got "hi"/],
  [{ ...CHAT, messages: [] }, 'invalid_value', 'messages', /from 1/],
  [
    { ...CHAT, messages: [{ content: 'x' }] },
    'missing_required_parameter',
    'messages[0].role',
    /role/,
  ],
  [
    { ...CHAT, messages: [{ role: 'king', content: 'x' }] },
    'invalid_value',
    'messages[0].role',
    /"tool"; got "king"/,
  ],
  [
    { ...CHAT, messages: [{ role: 'user' }] },
    'missing_required_parameter',
    'messages[0].content',
    /content/,
  ],
  [
    { ...CHAT, messages: [{ role: 'tool', content: 'x', tool_call_id: 'a' }] },
    'unsupported_parameter',
    'messages[0].role',
    /'tool'/,
  ],
  [
    {
      ...CHAT,
      messages: [
        {
          role: 'assistant',
          content: 'x',
          tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }],
        },
      ],
    },
    'unsupported_parameter',
    'messages[0].tool_calls',
    /tool_calls/,
  ],
  [
    { ...CHAT, messages: [{ role: 'user', content: 'x', mood: 1 }] },
    'unknown_parameter',
    'messages[0].mood',
    /mood/,
  ],
  [user(5), 'invalid_type', 'messages[0].content', /a string or an array of parts/],
  [
    user([{ type: 'image_url', image_url: { url: 'https://example.org/a.png' } }]),
    'unsupported_parameter',
    'messages[0].content[0].type',
    /an image/,
  ],
  [
    user([
      { type: 'text', text: 'a' },
      { type: 'input_audio', input_audio: { data: 'AA==', format: 'wav' } },
    ]),
    'unsupported_parameter',
    'messages[0].content[1].type',
    /an audio/,
  ],
  [
    user([{ type: 'text' }]),
    'invalid_type',
    'messages[0].content[0].text',
    /a string; got nothing/,
  ],
  [{ ...CHAT, temperature: -1 }, 'invalid_value', 'temperature', /from 0 to 2; got -1/],
  [{ ...CHAT, temperature: 2.1 }, 'invalid_value', 'temperature', /from 0 to 2; got 2.1/],
  [{ ...CHAT, temperature: '1' }, 'invalid_type', 'temperature', /a number from 0 to 2; got "1"/],
  [{ ...CHAT, top_p: 0 }, 'invalid_value', 'top_p', /above 0 and up to 1; got 0/],
  [{ ...CHAT, top_k: -1 }, 'invalid_value', 'top_k', /got -1/],
  [{ ...CHAT, min_p: 2 }, 'invalid_value', 'min_p', /from 0 to 1/],
  [{ ...CHAT, repetition_penalty: 0 }, 'invalid_value', 'repetition_penalty', /above 0/],
  [{ ...CHAT, presence_penalty: 3 }, 'invalid_value', 'presence_penalty', /from -2 to 2/],
  [{ ...CHAT, frequency_penalty: -3 }, 'invalid_value', 'frequency_penalty', /from -2 to 2/],
  [{ ...CHAT, n: 1000 }, 'invalid_value', 'n', /from 1 to 32; got 1000/],
  [{ ...CHAT, n: 0 }, 'invalid_value', 'n', /from 1 to 32; got 0/],
  [{ ...CHAT, n: 1.5 }, 'invalid_type', 'n', /an integer/],
  [{ ...CHAT, seed: 0.5 }, 'invalid_type', 'seed', /an integer/],
  [{ ...CHAT, max_tokens: 0 }, 'invalid_value', 'max_tokens', /from 1/],
  [{ ...CHAT, max_completion_tokens: -5 }, 'invalid_value', 'max_completion_tokens', /from 1/],
  [
    { ...CHAT, max_tokens: 3, max_completion_tokens: 4 },
    'invalid_value',
    'max_tokens',
    /send one of them/,
  ],
  [{ ...CHAT, logprobs: 1 }, 'invalid_type', 'logprobs', /a boolean; got 1/],
  [{ ...CHAT, top_logprobs: 2 }, 'invalid_value', 'top_logprobs', /'logprobs' is true/],
  [{ ...CHAT, logprobs: true, top_logprobs: 21 }, 'invalid_value', 'top_logprobs', /from 0 to 20/],
  [{ ...CHAT, stop: Array(17).fill('x') }, 'invalid_value', 'stop', /up to 16 strings/],
  [{ ...CHAT, stop: [''] }, 'invalid_value', 'stop', /1 to 256 characters/],
  [{ ...CHAT, stop: 4 }, 'invalid_type', 'stop', /a string, or an array/],
  [{ ...CHAT, logit_bias: [] }, 'invalid_value', 'logit_bias', /token ids/],
  [
    { ...CHAT, logit_bias: { hello: 1 } },
    'invalid_value',
    'logit_bias',
    /token ids; got the key "hello"/,
  ],
  [{ ...CHAT, logit_bias: { 5: 101 } }, 'invalid_value', 'logit_bias.5', /-100 to 100; got 101/],
  [{ ...CHAT, logit_bias: { 5: 'x' } }, 'invalid_value', 'logit_bias.5', /got "x"/],
  [{ ...CHAT, stream: 'yes' }, 'invalid_type', 'stream', /a boolean/],
  [
    { ...CHAT, stream_options: { include_usage: true } },
    'invalid_value',
    'stream_options',
    /'stream' is true/,
  ],
  [
    { ...CHAT, stream: true, stream_options: { x: 1 } },
    'unknown_parameter',
    'stream_options.x',
    /stream_options\.x/,
  ],
  [{ ...CHAT, max_token: 5 }, 'unknown_parameter', 'max_token', /'max_token'/],
  [{ ...CHAT, tools: [{ type: 'function' }] }, 'invalid_type', 'tools[0].function', /an object/],
  [
    { ...CHAT, tools: [{ type: 'function', function: { name: 'f' } }] },
    'unsupported_parameter',
    'tools',
    /'tools'/,
  ],
  [{ ...CHAT, tool_choice: 'any' }, 'invalid_type', 'tool_choice', /"required"/],
  [{ ...CHAT, tool_choice: 'auto' }, 'unsupported_parameter', 'tool_choice', /"none"; got "auto"/],
  [{ ...CHAT, functions: [{}] }, 'unsupported_parameter', 'functions', /'functions'/],
  [{ ...CHAT, function_call: 'auto' }, 'unsupported_parameter', 'function_call', /'function_call'/],
  [
    { ...CHAT, response_format: { type: 'json_object' } },
    'unsupported_parameter',
    'response_format',
    /"type": "text"/,
  ],
  [{ ...CHAT, audio: {} }, 'unsupported_parameter', 'audio', /'audio'/],
  [{ ...CHAT, modalities: ['text', 'audio'] }, 'unsupported_parameter', 'modalities', /\["text"\]/],
  [{ ...CHAT, prediction: {} }, 'unsupported_parameter', 'prediction', /'prediction'/],
  [
    { ...CHAT, web_search_options: {} },
    'unsupported_parameter',
    'web_search_options',
    /web_search/,
  ],
  [{ ...CHAT, reasoning_effort: 'low' }, 'unsupported_parameter', 'reasoning_effort', /reasoning/],
  [{ ...CHAT, verbosity: 'low' }, 'unsupported_parameter', 'verbosity', /'verbosity'/],
  [{ ...CHAT, store: 'yes' }, 'invalid_type', 'store', /a boolean; got "yes"/],
  [{ ...CHAT, store: true, metadata: { a: 1 } }, 'invalid_type', 'metadata.a', /a string; got 1/],
  [
    { ...CHAT, service_tier: 'flex' },
    'unsupported_parameter',
    'service_tier',
    /"auto" or "default"/,
  ],
]

const BAD_COMPLETIONS: Case[] = [
  [{ model: MODEL }, 'missing_required_parameter', 'prompt', /prompt/],
  [{ ...TEXT, prompt: 5 }, 'invalid_type', 'prompt', /a string, an array of token ids/],
  [{ ...TEXT, prompt: [] }, 'invalid_value', 'prompt', /a string/],
  [{ ...TEXT, prompt: ['a', 1] }, 'invalid_type', 'prompt', /either/],
  [{ ...TEXT, prompt: [-1] }, 'invalid_value', 'prompt', /token ids/],
  [{ ...TEXT, n: 17, prompt: ['a', 'b'] }, 'invalid_value', 'n', /17 times 2/],
  [{ ...TEXT, best_of: 3 }, 'unsupported_parameter', 'best_of', /got 3/],
  [{ ...TEXT, suffix: 'end' }, 'unsupported_parameter', 'suffix', /'suffix'/],
  [{ ...TEXT, echo: true, logprobs: 1 }, 'unsupported_parameter', 'logprobs', /'echo'/],
  [{ ...TEXT, logprobs: true }, 'invalid_type', 'logprobs', /an integer/],
  [{ ...TEXT, messages: [] }, 'unknown_parameter', 'messages', /'messages'/],
]

for (const [path, cases] of [
  ['/v1/chat/completions', BAD_CHATS],
  ['/v1/completions', BAD_COMPLETIONS],
] as const) {
  test(`${path} refuses ${cases.length} kinds of bad input, each by name`, async (t) => {
    const { post, log, runtime } = await startGateway(t)
    for (const [body, code, param, message] of cases) {
      const given = JSON.stringify(body).slice(0, 120)
      const response = await post(path, body)
      const { error } = (await response.json()) as ErrorBody
      assert.equal(response.status, 400, given)
      assert.equal(error.code, code, given)
      assert.equal(error.param, param, given)
      assert.match(error.message, message, given)
      assert.equal(error.type, 'invalid_request_error', given)
    }
    assert.equal(runtime.requests.length, 0)
    const records = await log.first(cases.length)
    assert.ok(records.every(({ outcome, status }) => outcome === 'refused' && status === 400))
    assert.deepEqual(
      records.map(({ errorCode }) => errorCode),
      cases.map(([, code]) => code),
    )
  })
}

test('a model that nobody knows is 404, as the client has an exception for', async (t) => {
  const { client, log } = await startGateway(t)
  for (const model of ['nope', 'guide@9', '../guide']) {
    await assert.rejects(client.chat.completions.create({ ...CHAT, model }), (error) => {
      assert.ok(error instanceof OpenAI.NotFoundError)
      assert.equal(error.code, 'model_not_found')
      assert.match(error.message, new RegExp(`'${model.replaceAll('.', '\\.')}' does not exist`))
      return true
    })
  }
  const [record] = await log.first(3)
  assert.equal(record?.requestedModel, 'nope')
  assert.equal(record?.model, null)
  assert.deepEqual(record?.prompt, CHAT.messages)
})

test('a body over the limit is 413 and says what the limit is', async (t) => {
  const { post, log } = await startGateway(t)
  const response = await post('/v1/chat/completions', user('x'.repeat(70_000)))
  const { error } = (await response.json()) as ErrorBody
  assert.equal(response.status, 413)
  assert.equal(error.code, 'body_too_large')
  assert.match(error.message, /65536 bytes/)
  assert.equal((await log.onlyRecord()).outcome, 'refused')
})

test('a body that is not said to be JSON is 415', async (t) => {
  const { post } = await startGateway(t)
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']) {
    const headers = { 'content-type': type, authorization: `Bearer ${KEY}` }
    const response = await post('/v1/chat/completions', CHAT, { headers })
    assert.equal(response.status, 415)
    assert.equal(((await response.json()) as ErrorBody).error.code, 'unsupported_media_type')
  }
})

test('unknown addresses are 404 and wrong methods 405, in the same body', async (t) => {
  const { url, log } = await startGateway(t)
  const unknown = await fetch(`${url}/v1/nothing?x=1`, { method: 'POST' })
  assert.equal(unknown.status, 404)
  const { error } = (await unknown.json()) as ErrorBody
  assert.equal(error.code, 'unknown_url')
  assert.match(error.message, /POST \/v1\/nothing\./)

  for (const [path, meant] of [
    ['/chat/completions', '/v1/chat/completions'],
    ['/v1/v1/chat/completions?x=1', '/v1/chat/completions'],
    ['//v1//responses/resp_1', '/v1/responses/resp_1'],
    ['/v1/v1/messages', '/v1/messages'],
  ] as const) {
    const response = await fetch(url + path, { method: 'POST' })
    assert.equal(response.status, 404)
    const { error } = (await response.json()) as ErrorBody
    assert(error.message.endsWith(`Did you mean ${meant}?`), error.message)
  }
  assert(!error.message.includes('mean'), 'no guess where nothing is near')

  for (const [method, path, allowed] of [
    ['GET', '/v1/completions', 'POST'],
    ['DELETE', '/v1/models/guide', 'GET, HEAD'],
    ['POST', '/healthz', 'GET, HEAD'],
  ] as const) {
    const response = await fetch(url + path, { method })
    assert.equal(response.status, 405)
    assert.equal(response.headers.get('allow'), allowed)
    assert.equal(((await response.json()) as ErrorBody).error.code, 'method_not_allowed')
  }
  for (const path of ['/%ff', `/v1/models/${'x'.repeat(300)}`]) {
    const response = await fetch(url + path)
    assert.equal(response.status, 404, path)
    assert.equal(((await response.json()) as ErrorBody).error.code, 'unknown_url')
    assert.ok(response.headers.get('x-request-id'))
  }
  assert.equal(log.records.length, 0)
})

test('a slash too many at the end changes nothing', async (t) => {
  const { post } = await startGateway(t)
  const response = await post('/v1/chat/completions/?x=1', CHAT)
  assert.equal(response.status, 200)
  await response.text()
})

test('bytes that are no HTTP are answered in the same body', async (t) => {
  const { port } = await startGateway(t)
  const socket = connect(port, '127.0.0.1').end('this is not HTTP\r\n\r\n')
  const answer = Buffer.concat(await collect<Buffer>(socket)).toString()
  assert.match(answer, /^HTTP\/1\.1 400 Bad Request\r\n/)
  const { error } = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))) as ErrorBody
  assert.equal(error.code, 'bad_request')
})

test("the runtime's refusals are statuses, also of streams", async (t) => {
  const { post, runtime, log } = await startGateway(t)
  const cases = [
    ['context_length_exceeded', 400, 'context_length_exceeded', null, 'refused'],
    ['invalid_request', 400, 'invalid_request', null, 'refused'],
    ['overloaded', 503, 'overloaded', '1', 'refused'],
    ['draining', 503, 'draining', '1', 'refused'],
    ['version_unusable', 503, 'version_unusable', '60', 'refused'],
    ['runtime_unreachable', 503, 'runtime_unreachable', '1', 'failed'],
    ['engine_lost', 502, 'engine_lost', '1', 'failed'],
    ['internal', 500, 'internal_error', null, 'failed'],
  ] as const
  for (const [code, status, told, retryAfter] of cases) {
    runtime.script = () => {
      throw failure(code, 'The prompt has 3000 tokens and the context 2048. /data/models/x')
    }
    const response = await post('/v1/chat/completions', { ...CHAT, stream: status !== 400 })
    const { error } = (await response.json()) as ErrorBody
    assert.equal(response.status, status)
    assert.equal(error.code, told)
    assert.equal(response.headers.get('retry-after'), retryAfter)
    assert.equal(response.headers.get('x-headrace-version'), 'guide@2')
    assert.equal(error.param, code === 'context_length_exceeded' ? 'messages' : null)
    if (code === 'context_length_exceeded') assert.match(error.message, /3000.*2048/)
    // What may name a folder stays in the log.
    if (status >= 500 && code !== 'overloaded' && code !== 'draining') {
      assert.doesNotMatch(error.message, /data/)
    }
  }
  const records = await log.first(cases.length)
  assert.deepEqual(
    records.map(({ outcome, status }) => [status, outcome]),
    cases.map(([, status, , , outcome]) => [status, outcome]),
  )
  assert.match(records.at(-1)?.errorMessage ?? '', /data\/models/)
})

test('a prompt too long for completions names the prompt', async (t) => {
  const { client, runtime } = await startGateway(t)
  runtime.script = () => {
    throw failure('context_length_exceeded', 'too long')
  }
  await assert.rejects(client.completions.create(TEXT), { status: 400, param: 'prompt' })
})

test('a bug is told as an internal error, without stack or path', async (t) => {
  const { post, runtime, log } = await startGateway(t)
  runtime.script = () => {
    throw new TypeError('cannot read /secret/place')
  }
  const response = await post('/v1/chat/completions', CHAT)
  const body = await response.text()
  assert.equal(response.status, 500)
  assert.doesNotMatch(body, /secret|TypeError|\.ts/)
  assert.match(body, /"type":"server_error"/)
  const record = await log.onlyRecord()
  assert.equal(record.outcome, 'failed')
  assert.equal(record.errorMessage, 'cannot read /secret/place')
})
