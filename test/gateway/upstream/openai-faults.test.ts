// What goes wrong at an upstream: what is told to the client, to the operator and to routing; and that nothing that
// went wrong looks like an answer.

import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { test } from 'node:test'

import { faultOf } from '../../../gateway/backends/upstream/fault.ts'
import { GatewayError } from '../../../gateway/errors.ts'
import { chatOf, KEY, startUpstream } from './openai-questions.ts'
import { chatBody, chatChunks, chunk } from '../../support/openai-wire.ts'
import { refuseWith } from '../../support/scripted-upstream.ts'
import type { ErrorCode } from '../../../gateway/errors.ts'
import type { Script } from '../../support/scripted-upstream.ts'

function known(error: unknown): GatewayError {
  assert(error instanceof GatewayError, inspect(error))
  return error
}

const stream =
  (...chunks: unknown[]): Script =>
  async (x) => {
    await x.stream(chunks)
    await x.end()
  }

const hello = chunk({ content: 'Hello' })
const stopped = chunk({}, 'stop')

/** at any point of an exchange: what the upstream does → what the client is told */
const STREAMED: Record<string, [Script, ErrorCode]> = {
  'a stream without an end': [stream(hello), 'upstream_error'],
  'a stream with [DONE] and without an end': [stream(hello, '[DONE]'), 'upstream_error'],
  'a stream of nothing': [stream(), 'upstream_error'],
  'only [DONE]': [stream('[DONE]'), 'upstream_error'],
  'a cut before the answer': [(x) => x.cut(), 'upstream_error'],
  'a cut after the head': [
    (x) => (x.head(200, { 'content-type': 'text/event-stream' }), x.delay(10).then(() => x.cut())),
    'upstream_error',
  ],
  'a cut in the middle': [
    (x) =>
      x
        .stream([hello])
        .then(() => x.delay(10))
        .then(() => x.cut()),
    'upstream_error',
  ],
  'a half-closed connection in the middle': [
    (x) =>
      x
        .stream([hello])
        .then(() => x.delay(10))
        .then(() => x.halfClose()),
    'upstream_error',
  ],
  'a cut after the end of one choice of two': [stream(hello, stopped, '[DONE]'), 'upstream_error'],
  'a stall': [(x) => x.stream([hello]).then(() => x.stall()), 'upstream_timeout'],
  'no head': [(x) => x.stall(), 'upstream_timeout'],
  'an event that is not JSON': [stream(hello, '{"choices":[{"in'), 'upstream_malformed'],
  'an event that is no object': [stream(hello, '7'), 'upstream_malformed'],
  'a choice that was not asked for': [
    stream({ choices: [{ index: 7, delta: {} }] }),
    'upstream_malformed',
  ],
  'a call without a name': [
    stream(
      chunk({ tool_calls: [{ id: 'a', function: { arguments: '{}' } }] }),
      chunk({}, 'tool_calls'),
      '[DONE]',
    ),
    'upstream_malformed',
  ],
  'a page of HTML': [
    (x) => x.send(200, '<html>', { 'content-type': 'text/html' }),
    'upstream_malformed',
  ],
  'bytes that are no HTTP': [(x) => x.raw('hello\r\n\r\n'), 'upstream_malformed'],
  'an error in the stream': [
    stream(hello, { error: { message: 'boom', type: 'server_error' } }),
    'upstream_error',
  ],
  'an error named by its event': [
    async (x) => {
      await x.stream([hello])
      await x.write('event: error\ndata: {"message": "boom", "code": 503}\n\n')
      await x.end()
    },
    'upstream_overloaded',
  ],
  'a rate limit in the stream': [
    stream(hello, { error: { message: 'slow', code: 'rate_limit_exceeded' } }),
    'upstream_rate_limited',
  ],
  'an end that is a failure': [stream(hello, chunk({}, 'error'), '[DONE]'), 'upstream_error'],
  'an error with status 200': [
    (x) => x.json(200, { error: { message: 'boom' } }),
    'upstream_error',
  ],
}

for (const [name, [script, code]] of Object.entries(STREAMED)) {
  test(`${name} is ${code} and never an answer`, async (t) => {
    const { upstream, collect } = await startUpstream(t, { silenceMs: 100 })
    upstream.script = script
    const choices = name.includes('of two') ? 2 : 1
    const { events, error } = await collect(chatOf({ choices }))
    assert.equal(known(error).code, code)
    assert(!events.some(({ type }) => type === 'done'))
  })
}

const WHOLE: Record<string, [Script, ErrorCode]> = {
  'a cut body': [
    (x) => (
      x.head(200, { 'content-type': 'application/json', 'content-length': '100' }),
      x.write('{"cho').then(() => x.cut())
    ),
    'upstream_error',
  ],
  'half a body': [
    (x) => x.send(200, '{"choices": [', { 'content-type': 'application/json' }),
    'upstream_malformed',
  ],
  'an empty body': [
    (x) => x.send(200, '', { 'content-type': 'application/json' }),
    'upstream_malformed',
  ],
  'a body without choices': [
    (x) => x.json(200, { object: 'chat.completion' }),
    'upstream_malformed',
  ],
  'a body of nothing': [(x) => x.json(200, null), 'upstream_malformed'],
  'no choices': [(x) => x.json(200, chatBody({}, { choices: [] })), 'upstream_error'],
  'a choice without an end': [
    (x) => x.json(200, { choices: [{ index: 0, message: { content: 'Hi' } }] }),
    'upstream_error',
  ],
  'an error with status 200': [(x) => x.json(200, { error: 'boom' }), 'upstream_error'],
  'a redirect': [(x) => x.send(307, '', { location: '/elsewhere' }), 'upstream_error'],
}

for (const [name, [script, code]] of Object.entries(WHOLE)) {
  test(`${name}, not streamed, is ${code} and never an answer`, async (t) => {
    const { upstream, collect } = await startUpstream(t)
    upstream.script = script
    const { events, error } = await collect(chatOf({ isStreamed: false }))
    assert.equal(known(error).code, code)
    assert(!events.some(({ type }) => type === 'done'))
    assert.equal(upstream.requests.length, 1)
  })
}

/** status → what the client is told, with which status, and what routing makes of it */
const STATUSES: [
  number,
  ErrorCode,
  number,
  { isRetryable: boolean; counts: boolean; isPermanent?: boolean },
][] = [
  [400, 'invalid_request', 400, { isRetryable: false, counts: false, isPermanent: true }],
  [401, 'upstream_auth', 502, { isRetryable: true, counts: true, isPermanent: true }],
  [403, 'upstream_auth', 502, { isRetryable: true, counts: true, isPermanent: true }],
  [404, 'upstream_error', 502, { isRetryable: true, counts: true, isPermanent: true }],
  [422, 'invalid_request', 400, { isRetryable: false, counts: false, isPermanent: true }],
  [429, 'upstream_rate_limited', 429, { isRetryable: true, counts: true }],
  [500, 'upstream_error', 502, { isRetryable: true, counts: true }],
  [503, 'upstream_overloaded', 503, { isRetryable: true, counts: true }],
  [504, 'upstream_timeout', 504, { isRetryable: true, counts: true }],
  [529, 'upstream_overloaded', 503, { isRetryable: true, counts: true }],
]

for (const [status, code, told, { isRetryable, counts, isPermanent = false }] of STATUSES) {
  test(`an upstream's ${status} is told as ${told} ${code}`, async (t) => {
    const { upstream, collect } = await startUpstream(t)
    upstream.script = refuseWith(status, { 'retry-after': '7' })
    const error = known((await collect()).error)
    assert.equal(error.code, code)
    assert.equal(error.kind.status, told)
    assert.match(error.detail, new RegExp(`answered with status ${status}: status ${status}`))
    assert.deepEqual(faultOf(error), {
      isRetryable,
      isPermanent,
      retryAfterMs: 7000,
      countsAgainstTarget: counts,
    })
  })
}

test("what is wrong with the request keeps the upstream's words and its parameter", async (t) => {
  const { upstream, collect } = await startUpstream(t)
  const message = "Unsupported value: 'temperature' does not support 0.2 with this model."
  upstream.script = refuseWith(
    400,
    {},
    { message, param: 'temperature', code: 'unsupported_value' },
  )
  const error = known((await collect()).error)
  assert.equal(error.message, message)
  assert.equal(error.param, 'temperature')
})

test('a prompt that is too long is told as such, whatever the upstream calls it', async (t) => {
  const { upstream, collect } = await startUpstream(t)
  for (const said of [
    { message: 'too long', code: 'context_length_exceeded' },
    { message: "This model's maximum context length is 4096 tokens.", code: 400 },
    { message: 'the request exceeds the available context size (512 tokens)' },
  ]) {
    upstream.next.push(refuseWith(400, {}, said))
    const error = known((await collect()).error)
    assert.equal(error.code, 'context_length_exceeded')
    assert.equal(error.param, 'messages')
    // A target with a larger context may take it, and this one has done nothing wrong.
    const { isRetryable, countsAgainstTarget } = faultOf(error)
    assert.deepEqual(
      { isRetryable, countsAgainstTarget },
      { isRetryable: true, countsAgainstTarget: false },
    )
  }
})

test('refusals in other shapes are quoted', async (t) => {
  const { upstream, collect } = await startUpstream(t)
  for (const [body, words] of [
    [{ detail: 'Not like this.' }, /^Not like this\.$/],
    [{ detail: [{ loc: ['body', 'x'], msg: 'field required' }] }, /field required/],
    [{ error: 'model is loading' }, /^model is loading$/],
    [{ object: 'error', message: 'bad role', code: 400 }, /^bad role$/],
    ['a page', /refused the request/],
  ] as const) {
    upstream.next.push((x) => x.json(400, body))
    assert.match(known((await collect()).error).message, words)
  }
})

test('retry-after is read in seconds, milliseconds and as a date', async (t) => {
  const { upstream, collect } = await startUpstream(t)
  const inTenSeconds = new Date(Date.now() + 10_000).toUTCString()
  for (const [headers, low, high] of [
    [{ 'retry-after': '2' }, 2000, 2000],
    [{ 'retry-after-ms': '250', 'retry-after': '1' }, 250, 250],
    [{ 'retry-after': inTenSeconds }, 8000, 10_000],
  ] as const) {
    upstream.next.push(refuseWith(429, headers))
    const error = known((await collect()).error)
    const { retryAfterMs } = faultOf(error)
    assert(retryAfterMs !== null && retryAfterMs >= low && retryAfterMs <= high)
    assert.equal(error.kind.retryAfterSeconds, Math.ceil(retryAfterMs / 1000))
  }
  upstream.next.push(refuseWith(429))
  assert.equal(faultOf((await collect()).error).retryAfterMs, null)
})

test('a client that leaves ends the call to the upstream, and is told nothing', async (t) => {
  const { upstream, collect } = await startUpstream(t)
  const abort = new AbortController()
  const reason = new Error('the client left')
  upstream.script = (x) => x.stream([hello]).then(() => x.stall())
  setTimeout(() => abort.abort(reason), 30)
  const { error } = await collect(chatOf(), abort.signal)
  assert.equal(error, reason)
  await upstream.only.hungUp
})

test('leaving the answer early ends the call too', async (t) => {
  const { upstream, ask } = await startUpstream(t)
  upstream.script = (x) => x.stream([hello]).then(() => x.stall())
  for await (const _ of ask()) break
  await upstream.only.hungUp
})

test('a stream that goes on after [DONE] is hung up on', async (t) => {
  const { upstream, collect } = await startUpstream(t)
  upstream.script = async (x) => {
    await x.stream(chatChunks(['Hello']))
    while (!x.request.isHungUp) {
      await x.write(': still here\n\n')
      await x.delay(20)
    }
  }
  const { events, error } = await collect()
  assert.equal(error, null)
  assert.equal(events.at(-1)?.type, 'done')
  await upstream.only.hungUp
})

test("the upstream's key is in no error, and what clients are told names no address", async (t) => {
  const { upstream, collect } = await startUpstream(t)
  const said = { message: `Incorrect API key provided: ${KEY}. Or sk-proj-abc***********xyz.` }
  const scripts: Script[] = [
    refuseWith(401, {}, said),
    refuseWith(400, {}, said),
    refuseWith(500, {}, said),
    (x) => x.send(502, `<html>${KEY}`),
    (x) => x.json(200, { error: said }),
    stream({ error: said }),
    stream(hello, `not JSON: ${KEY}`),
    (x) => x.send(200, KEY, { 'content-type': 'application/json' }),
    (x) => x.cut(),
  ]
  for (const script of scripts) {
    upstream.next.push(script)
    const error = known((await collect()).error)
    assert(!inspect(error, { depth: 10, showHidden: true }).includes(KEY), inspect(error))
    assert(!error.message.includes(upstream.url))
    assert(!error.detail.includes('sk-proj'))
  }
})
