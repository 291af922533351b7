// What Gemini's API answers, in our own events; and that nothing that went wrong looks like an answer.

import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { faultOf } from '../../../gateway/backends/upstream/fault.ts'
import { GeminiUpstream } from '../../../gateway/backends/upstream/gemini.ts'
import {
  answerContent,
  chunk,
  end,
  errorBody,
  streamChunks,
  USAGE,
} from '../../support/gemini-wire.ts'
import { startAsking } from './asking.ts'
import { callsOf, chatOf, KEY, textOf } from './openai-questions.ts'
import type { AnswerEvent } from '../../../gateway/backends/backend.ts'
import type { ErrorCode } from '../../../gateway/errors.ts'
import type { Script } from '../../support/scripted-upstream.ts'

const ask = (t: TestContext) =>
  startAsking(t, 'gemini-2.5-flash', (url) => new GeminiUpstream({ baseUrl: url, apiKey: KEY }))

const DONE: AnswerEvent = {
  type: 'done',
  usage: { promptTokens: 12, cachedTokens: 5, completionTokens: 7, reasoningTokens: 3 },
  timings: null,
}
const delta = (text: string, choice = 0): AnswerEvent => ({
  type: 'delta',
  choice,
  text,
  tokens: null,
})

test('a streamed answer is its words, why it ended, and what it cost', async (t) => {
  const { upstream, answer } = await ask(t)
  upstream.script = answerContent(['Hel', 'lo', ' wörld 🦀'])
  assert.deepEqual(await answer(), [
    delta('Hel'),
    delta('lo'),
    delta(' wörld 🦀'),
    { type: 'finished', choice: 0, finishReason: 'stop' },
    DONE,
  ])
})

test('a whole answer is the same in one piece', async (t) => {
  const { upstream, answer } = await ask(t)
  upstream.script = answerContent(['Hel', 'lo'])
  assert.deepEqual(await answer(chatOf({ isStreamed: false })), [
    delta('Hello'),
    { type: 'finished', choice: 0, finishReason: 'stop' },
    DONE,
  ])
})

test('of half of a whole answer nothing is told, so that another may answer', async (t) => {
  const { upstream, ask: put } = await ask(t)
  upstream.script = (exchange) => exchange.json(200, chunk([{ text: 'Hel' }]))
  const { events, error } = await put(chatOf({ isStreamed: false }))
  assert.match(String(error), /broke off/)
  assert.deepEqual(events, [])
})

test('a stream that a proxy made an array of is read too', async (t) => {
  const { upstream, answer } = await ask(t)
  upstream.script = (exchange) => exchange.json(200, [chunk([{ text: 'Hi' }]), end()])
  assert.equal(textOf(await answer()), 'Hi')
})

test('counts that come after the end are counted', async (t) => {
  const { upstream, answer } = await ask(t)
  upstream.script = streamChunks(chunk([{ text: 'Hi' }], { finishReason: 'STOP' }), {
    usageMetadata: USAGE,
  })
  assert.deepEqual((await answer()).at(-1), DONE)
})

test('thoughts are told as thoughts', async (t) => {
  const { upstream, answer } = await ask(t)
  upstream.script = streamChunks(chunk([{ text: 'Hm.', thought: true }, { text: 'Yes.' }]), end())
  assert.deepEqual((await answer()).slice(0, 2), [
    { type: 'reasoning', choice: 0, text: 'Hm.' },
    delta('Yes.'),
  ])
})

test('a call’s signature goes out in its id and comes back with the call', async (t) => {
  const { upstream, answer } = await ask(t)
  const signature = Buffer.from('++signed thought//').toString('base64')
  const part = {
    functionCall: { name: 'weather', args: { city: 'Paris' } },
    thoughtSignature: signature,
  }
  const other = { functionCall: { name: 'now' } }
  upstream.script = streamChunks(chunk([part]), end('STOP', [other]))
  const events = await answer()
  const calls = callsOf(events)
  assert.deepEqual(
    calls.map(({ name, arguments: args }) => [name, args]),
    [
      ['weather', '{"city":"Paris"}'],
      ['now', '{}'],
    ],
  )
  assert(calls.every(({ id }) => /^[\w-]+$/.test(id)))
  assert.notEqual(calls[0]?.id, calls[1]?.id)
  assert.deepEqual(events.at(-2), { type: 'finished', choice: 0, finishReason: 'tool_calls' })

  await answer(
    chatOf({
      messages: [
        { role: 'user', content: [{ type: 'text', text: 'Weather?' }] },
        { role: 'assistant', content: [], toolCalls: calls },
      ],
    }),
  )
  const again = upstream.requests[1]!.json.contents[1].parts
  assert.deepEqual(again, [part, { functionCall: { name: 'now', args: {} } }])
})

test('candidates are the choices, each with its end', async (t) => {
  const { upstream, answer } = await ask(t)
  upstream.script = streamChunks(
    {
      candidates: [
        { index: 0, content: { parts: [{ text: 'a' }] }, finishReason: 'STOP' },
        { index: 1, content: { parts: [{ text: 'b' }] } },
      ],
    },
    { ...chunk([{ text: 'c' }], { finishReason: 'MAX_TOKENS' }, 1), usageMetadata: USAGE },
  )
  assert.deepEqual(await answer(chatOf({ choices: 2 })), [
    delta('a'),
    { type: 'finished', choice: 0, finishReason: 'stop' },
    delta('b', 1),
    delta('c', 1),
    { type: 'finished', choice: 1, finishReason: 'length' },
    DONE,
  ])
})

for (const said of ['SAFETY', 'RECITATION', 'BLOCKLIST', 'PROHIBITED_CONTENT', 'SPII']) {
  test(`an answer that ended with ${said} was filtered`, async (t) => {
    const { upstream, answer } = await ask(t)
    upstream.script = streamChunks(chunk([{ text: 'a' }]), end(said, []))
    assert.deepEqual((await answer()).at(-2), {
      type: 'finished',
      choice: 0,
      finishReason: 'content_filter',
    })
  })
}

test('a prompt that was blocked is an answer that was filtered', async (t) => {
  const { upstream, answer } = await ask(t)
  upstream.script = streamChunks({
    promptFeedback: { blockReason: 'SAFETY' },
    usageMetadata: { promptTokenCount: 12 },
  })
  assert.deepEqual(await answer(), [
    { type: 'finished', choice: 0, finishReason: 'content_filter' },
    {
      type: 'done',
      usage: { promptTokens: 12, cachedTokens: 0, completionTokens: 0 },
      timings: null,
    },
  ])
})

test('what nobody counted is estimated, and says so', async (t) => {
  const { upstream, answer } = await ask(t)
  upstream.script = streamChunks({
    candidates: [{ content: { parts: [{ text: 'eight ch' }] }, finishReason: 'STOP' }],
  })
  const last = (await answer()).at(-1)
  assert(last?.type === 'done')
  assert.equal(last.usage.isEstimated, true)
  assert.equal(last.usage.completionTokens, 2)
})

/** what the upstream does → the code that the client is told, and whether routing may try again */
const FAULTS: Record<string, [Script, ErrorCode, boolean]> = {
  'a stream without its end': [streamChunks(chunk([{ text: 'a' }])), 'upstream_error', true],
  'a stream of nothing': [streamChunks(), 'upstream_error', true],
  'a cut in the middle': [
    async (x) => {
      await x.stream([chunk([{ text: 'a' }])])
      x.cut()
    },
    'upstream_error',
    true,
  ],
  'garbage in the middle': [
    streamChunks(chunk([{ text: 'a' }]), '{"cand'),
    'upstream_malformed',
    true,
  ],
  'a call that the model could not write': [
    streamChunks(end('MALFORMED_FUNCTION_CALL', [])),
    'upstream_error',
    true,
  ],
  'an end for other reasons': [
    streamChunks(chunk([{ text: 'a' }]), end('OTHER')),
    'upstream_error',
    true,
  ],
  'an error in the middle': [
    streamChunks(chunk([{ text: 'a' }]), errorBody(503, 'UNAVAILABLE', 'The model is overloaded.')),
    'upstream_overloaded',
    true,
  ],
  'a key that is not good': [
    (x) =>
      x.json(
        400,
        errorBody(400, 'INVALID_ARGUMENT', `API key not valid: ${KEY}`, [
          { '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: 'API_KEY_INVALID' },
        ]),
      ),
    'upstream_auth',
    true,
  ],
  'a country that it does not serve': [
    (x) => x.json(400, errorBody(400, 'FAILED_PRECONDITION', 'User location is not supported.')),
    'upstream_auth',
    true,
  ],
  'a bad request': [
    (x) => x.json(400, errorBody(400, 'INVALID_ARGUMENT', 'Unknown name "x".')),
    'invalid_request',
    false,
  ],
  'a prompt that is too long': [
    (x) =>
      x.json(
        400,
        errorBody(
          400,
          'INVALID_ARGUMENT',
          'The input token count (2000000) exceeds the maximum number of tokens allowed (1048576).',
        ),
      ),
    'context_length_exceeded',
    true,
  ],
  'an error in an array': [
    (x) => x.json(503, [errorBody(503, 'UNAVAILABLE', 'Overloaded.')]),
    'upstream_overloaded',
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

test('when to come back is what the upstream says in the details', async (t) => {
  const { upstream, failure } = await ask(t)
  const delay = { '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '34.5s' }
  upstream.script = (x) =>
    x.json(429, errorBody(429, 'RESOURCE_EXHAUSTED', 'Quota exceeded.', [delay]))
  const error = await failure()
  assert.equal(error.code, 'upstream_rate_limited')
  assert.equal(faultOf(error).retryAfterMs, 34_500)
})
