// What Anthropic's API answers, in our own events; and that nothing that went wrong looks like an answer.

import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { test } from 'node:test'

import { AnthropicUpstream } from '../../../gateway/backends/upstream/anthropic.ts'
import { faultOf } from '../../../gateway/backends/upstream/fault.ts'
import {
  answerMessage,
  blockStart,
  blockStop,
  end,
  errorBody,
  message,
  ping,
  start,
  streamEvents,
  textBlock,
  thinkingBlock,
  toolBlock,
  USAGE,
  writeEvents,
} from '../../support/anthropic-wire.ts'
import { startAsking } from './asking.ts'
import { callsOf, chatOf, KEY, textOf } from './openai-questions.ts'
import type { TestContext } from 'node:test'
import type { AnswerEvent } from '../../../gateway/backends/backend.ts'
import type { ErrorCode } from '../../../gateway/errors.ts'
import type { Script } from '../../support/scripted-upstream.ts'

const ask = (t: TestContext) =>
  startAsking(t, 'claude', (url) => new AnthropicUpstream({ baseUrl: `${url}/v1`, apiKey: KEY }))

const STARTED: AnswerEvent = { type: 'started', promptTokens: 60, cachedTokens: 30, queueMs: 0 }
const DONE: AnswerEvent = {
  type: 'done',
  usage: { promptTokens: 60, cachedTokens: 30, cacheWriteTokens: 20, completionTokens: 4 },
  timings: null,
}
const delta = (text: string): AnswerEvent => ({ type: 'delta', choice: 0, text, tokens: null })
const finished = (
  finishReason: 'stop' | 'length' | 'tool_calls' | 'content_filter',
): AnswerEvent => ({
  type: 'finished',
  choice: 0,
  finishReason,
})

test('a streamed message is its words, why it ended, and what it cost', async (t) => {
  const { upstream, answer } = await ask(t)
  upstream.script = answerMessage(['Hel', 'lo', ' wörld 🦀'])
  assert.deepEqual(await answer(), [
    STARTED,
    delta('Hel'),
    delta('lo'),
    delta(' wörld 🦀'),
    finished('stop'),
    DONE,
  ])
})

test('a whole message is the same in one piece', async (t) => {
  const { upstream, answer } = await ask(t)
  upstream.script = answerMessage(['Hel', 'lo'])
  const events = await answer(chatOf({ isStreamed: false }))
  assert.deepEqual(events, [STARTED, delta('Hello'), finished('stop'), DONE])
})

test('thoughts come with their signatures, redacted ones too', async (t) => {
  const { upstream, answer } = await ask(t)
  upstream.script = streamEvents([
    start(),
    ...thinkingBlock(0, ['Let me', ' see.'], 'c2ln'),
    blockStart(1, { type: 'redacted_thinking', data: 'Y2lwaGVy' }),
    blockStop(1),
    ...textBlock(2, ['Yes.']),
    ...end('end_turn'),
  ])
  const thoughts = (await answer()).filter(({ type }) => type === 'reasoning')
  assert.deepEqual(thoughts, [
    { type: 'reasoning', choice: 0, text: 'Let me' },
    { type: 'reasoning', choice: 0, text: ' see.' },
    { type: 'reasoning', choice: 0, text: '', signature: 'c2ln' },
    { type: 'reasoning', choice: 0, text: '', signature: 'redacted_thinking:Y2lwaGVy' },
  ])
})

const CALLS = [
  { id: 'toolu_1', name: 'weather', arguments: '{"city":"Paris"}' },
  { id: 'toolu_2', name: 'now', arguments: '{}' },
]

test('calls of tools come in pieces, and one without arguments has an empty object', async (t) => {
  const { upstream, answer } = await ask(t)
  upstream.script = streamEvents([
    start(),
    ...textBlock(0, ['I look.']),
    ...toolBlock(1, 'toolu_1', 'weather', ['{"city":', '"Paris"}']),
    ...toolBlock(2, 'toolu_2', 'now', []),
    ...end('tool_use'),
  ])
  const events = await answer()
  assert.equal(textOf(events), 'I look.')
  assert.deepEqual(callsOf(events), CALLS)
  assert.deepEqual(events.at(-2), finished('tool_calls'))
})

test('calls of a whole message are the same', async (t) => {
  const { upstream, answer } = await ask(t)
  const content = [
    { type: 'tool_use', id: 'toolu_1', name: 'weather', input: { city: 'Paris' } },
    { type: 'tool_use', id: 'toolu_2', name: 'now', input: {} },
  ]
  upstream.script = (exchange) => exchange.json(200, message(content, 'tool_use'))
  const events = await answer(chatOf({ isStreamed: false }))
  assert.deepEqual(callsOf(events), CALLS)
})

for (const [said, reason] of [
  ['end_turn', 'stop'],
  ['stop_sequence', 'stop'],
  ['max_tokens', 'length'],
  ['model_context_window_exceeded', 'length'],
  ['pause_turn', 'length'],
  ['refusal', 'content_filter'],
  ['tool_use', 'tool_calls'],
] as const) {
  test(`a message that ended with ${said} finished with ${reason}`, async (t) => {
    const { upstream, answer } = await ask(t)
    upstream.script = streamEvents([start(), ...textBlock(0, ['a']), ...end(said)])
    assert.deepEqual((await answer()).at(-2), finished(reason))
  })
}

test('which stop string ended a message is told', async (t) => {
  const { upstream, answer } = await ask(t)
  const said = { stop_sequence: 'END' }
  upstream.script = streamEvents([
    start(),
    ...textBlock(0, ['a']),
    ...end('stop_sequence', 1, said),
  ])
  assert.deepEqual((await answer()).at(-2), { ...finished('stop'), stopSequence: 'END' })
})

test('a refusal comes with its explanation', async (t) => {
  const { upstream, answer } = await ask(t)
  const details = { stop_details: { type: 'refusal', category: null, explanation: 'I won’t.' } }
  upstream.script = streamEvents([start(), ...end('refusal', 0, details)])
  assert.deepEqual((await answer()).slice(1, 3), [
    { type: 'refusal', choice: 0, text: 'I won’t.' },
    finished('content_filter'),
  ])
})

test('events and blocks of kinds to come are passed over', async (t) => {
  const { upstream, answer } = await ask(t)
  upstream.script = streamEvents([
    start(),
    { type: 'a_new_event', data: 1 },
    blockStart(0, { type: 'a_new_block', text: 'x' }),
    blockStop(0),
    ...textBlock(1, ['Hi']),
    ...end('end_turn'),
  ])
  assert.deepEqual(await answer(), [STARTED, delta('Hi'), finished('stop'), DONE])
})

test('tokens of thoughts, and counts that are corrected at the end', async (t) => {
  const { upstream, answer } = await ask(t)
  const [, stop] = end('end_turn')
  const usage = {
    input_tokens: 12,
    output_tokens: 9,
    output_tokens_details: { thinking_tokens: 7 },
    cache_read_input_tokens: null,
  }
  upstream.script = streamEvents([
    start(),
    ...textBlock(0, ['a']),
    { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage },
    stop!,
  ])
  assert.deepEqual((await answer()).at(-1), {
    type: 'done',
    usage: {
      promptTokens: 62,
      cachedTokens: 30,
      cacheWriteTokens: 20,
      completionTokens: 9,
      reasoningTokens: 7,
    },
    timings: null,
  })
})

test('what nobody counted is estimated, and says so', async (t) => {
  const { upstream, answer } = await ask(t)
  upstream.script = streamEvents([
    start({}),
    ...textBlock(0, ['eight ch']),
    { type: 'message_delta', delta: { stop_reason: 'end_turn' } },
    { type: 'message_stop' },
  ])
  const events = await answer()
  const last = events.at(-1)
  assert(last?.type === 'done', inspect(last))
  assert.equal(last.usage.isEstimated, true)
  assert.equal(last.usage.completionTokens, 2)
  assert(last.usage.promptTokens > 0)
  assert.equal(events[0]?.type, 'delta')
})

const raw =
  (...frames: string[]): Script =>
  async (exchange) => {
    exchange.head(200, { 'content-type': 'text/event-stream' })
    for (const frame of frames) await exchange.write(frame)
    await exchange.end()
  }

const hello = [start(), ping, ...textBlock(0, ['Hello']).slice(0, -1)]

/** what the upstream does → the code that the client is told, and whether routing may try again */
const FAULTS: Record<string, [Script, ErrorCode, boolean]> = {
  'a stream without its end': [streamEvents(hello), 'upstream_error', true],
  'a reason and no last event': [
    streamEvents([start(), ...textBlock(0, ['a']), end('end_turn')[0]!]),
    'upstream_error',
    true,
  ],
  'a last event and no reason': [
    streamEvents([...hello, { type: 'message_stop' }]),
    'upstream_error',
    true,
  ],
  'a stream of nothing': [streamEvents([]), 'upstream_error', true],
  'a cut in the middle': [
    async (x) => {
      await writeEvents(x, hello)
      x.cut()
    },
    'upstream_error',
    true,
  ],
  'garbage in the middle': [
    raw('data: {"type":"ping"}\n\n', 'data: {"ty\n\n'),
    'upstream_malformed',
    true,
  ],
  'a page of HTML': [
    (x) => x.send(200, '<html>', { 'content-type': 'text/html' }),
    'upstream_malformed',
    true,
  ],
  'an overload in the middle': [
    streamEvents([...hello, errorBody('overloaded_error', 'Overloaded')]),
    'upstream_overloaded',
    true,
  ],
  'a failure in the middle': [
    streamEvents([...hello, errorBody('api_error', 'Internal')]),
    'upstream_error',
    true,
  ],
  'a refusal in the first event': [
    streamEvents([errorBody('invalid_request_error', 'messages: bad')]),
    'invalid_request',
    false,
  ],
  'status 529': [
    (x) => x.json(529, errorBody('overloaded_error', 'Overloaded')),
    'upstream_overloaded',
    true,
  ],
  'status 500': [(x) => x.json(500, errorBody('api_error', 'Internal')), 'upstream_error', true],
  'status 401': [
    (x) => x.json(401, errorBody('authentication_error', `invalid x-api-key ${KEY}`)),
    'upstream_auth',
    true,
  ],
  'an account without money': [
    (x) =>
      x.json(
        400,
        errorBody(
          'invalid_request_error',
          'Your credit balance is too low to access the Anthropic API.',
        ),
      ),
    'upstream_auth',
    true,
  ],
  'status 400': [
    (x) => x.json(400, errorBody('invalid_request_error', `tools.0: ${KEY}`)),
    'invalid_request',
    false,
  ],
  'a prompt that is too long': [
    (x) =>
      x.json(
        400,
        errorBody('invalid_request_error', 'prompt is too long: 250000 tokens > 200000 maximum'),
      ),
    'context_length_exceeded',
    true,
  ],
  'a proxy’s page': [
    (x) => x.send(502, '<html>', { 'content-type': 'text/html' }),
    'upstream_error',
    true,
  ],
}

for (const [what, [script, code, isRetryable]] of Object.entries(FAULTS)) {
  test(`${what} is told as ${code} and is no answer`, async (t) => {
    const { upstream, failure } = await ask(t)
    upstream.script = script
    const error = await failure()
    assert.equal(error.code, code, inspect(error))
    assert.equal(faultOf(error).isRetryable, isRetryable)
    assert(!inspect(error, { depth: 9 }).includes(KEY), 'the key is nowhere in the error')
  })
}

test('when to come back is what the upstream says', async (t) => {
  const { upstream, failure } = await ask(t)
  upstream.script = (x) =>
    x.json(429, errorBody('rate_limit_error', 'Slow down'), { 'retry-after': '7' })
  const error = await failure()
  assert.equal(error.code, 'upstream_rate_limited')
  assert.equal(faultOf(error).retryAfterMs, 7000)
})

test('whoever leaves in the middle hangs up on the upstream', async (t) => {
  const { upstream, ask: put } = await ask(t)
  const left = new Error('the client left')
  const leaving = new AbortController()
  upstream.script = async (x) => {
    await writeEvents(x, hello)
    leaving.abort(left)
    await x.stall()
  }
  const { error } = await put(chatOf(), leaving.signal)
  assert.equal(error, left)
  await upstream.only.hungUp
})

test('a message without a count in its middle keeps what its start said', async (t) => {
  const { upstream, answer } = await ask(t)
  upstream.script = streamEvents([
    start({ ...USAGE, output_tokens: 3 }),
    ...textBlock(0, ['a']),
    {
      type: 'message_delta',
      delta: { stop_reason: 'end_turn' },
    },
    { type: 'message_stop' },
  ])
  const last = (await answer()).at(-1)
  assert(last?.type === 'done')
  assert.equal(last.usage.completionTokens, 3)
})
