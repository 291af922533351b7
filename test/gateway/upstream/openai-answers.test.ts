// Answers of OpenAI-compatible upstreams, streamed and not, as OpenAI sends them and as others do.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { callsOf, chatOf, completionOf, startUpstream, textOf } from './openai-questions.ts'
import {
  answerChat,
  chatBody,
  chatChunks,
  chunk,
  USAGE,
  usageChunk,
} from '../../support/openai-wire.ts'
import type { Script } from '../../support/scripted-upstream.ts'

const WORDS = ['Hel', 'lo', ' "wörld"', ' 🙂\n', 'bye']
const whole = { choice: 0, finishReason: 'stop', type: 'finished' }
const figures = {
  type: 'done',
  usage: { promptTokens: 9, cachedTokens: 5, completionTokens: 4, reasoningTokens: 2 },
  timings: null,
}
const stream =
  (...chunks: unknown[]): Script =>
  async (x) => {
    await x.stream(chunks)
    await x.end()
  }

test('a streamed answer is its deltas, its end and its figures', async (t) => {
  const { upstream, collect } = await startUpstream(t)
  upstream.script = answerChat(WORDS)
  const { events, error } = await collect()
  assert.equal(error, null)
  const deltas = WORDS.map((text) => ({ type: 'delta', choice: 0, text, tokens: null }))
  assert.deepEqual(events, [...deltas, whole, figures])
})

test('an answer that is not streamed says the same', async (t) => {
  const { upstream, collect } = await startUpstream(t)
  upstream.script = answerChat(WORDS)
  const { events } = await collect(chatOf({ isStreamed: false }))
  assert.equal(upstream.only.json.stream, undefined)
  assert.equal(upstream.only.json.stream_options, undefined)
  assert.equal(textOf(events), WORDS.join(''))
  assert.deepEqual(events.slice(-2), [whole, figures])
})

for (const [name, options] of Object.entries({
  CRLF: { lineEnd: '\r\n' },
  'bytes cut anywhere': { sliceBytes: 7, delayMs: 0 },
  gzip: { gzip: true },
})) {
  test(`a stream with ${name} is read as any other`, async (t) => {
    const { upstream, collect } = await startUpstream(t)
    upstream.script = answerChat(WORDS, options)
    const { events, error } = await collect()
    assert.equal(error, null)
    assert.equal(textOf(events), WORDS.join(''))
  })
}

test('the connection is kept after a stream', async (t) => {
  const { upstream, collect } = await startUpstream(t)
  upstream.script = answerChat(WORDS)
  for (let i = 0; i < 6; i++) await collect()
  assert(upstream.connections <= 2, `${upstream.connections} connections`)
})

test('choices are told apart', async (t) => {
  const { upstream, collect } = await startUpstream(t)
  const of = (index: number, content: string, finish: string | null = null) => ({
    choices: [{ index, delta: { content }, finish_reason: finish }],
  })
  upstream.script = stream(
    of(0, 'a'),
    of(1, 'x'),
    of(0, 'b'),
    of(1, 'y'),
    of(1, '', 'length'),
    of(0, '', 'stop'),
    '[DONE]',
  )
  const { events, error } = await collect(chatOf({ choices: 2 }))
  assert.equal(error, null)
  assert.equal(textOf(events, 0), 'ab')
  assert.equal(textOf(events, 1), 'xy')
})

test('reasoning and refusals are told as such, by either name', async (t) => {
  const { upstream, collect } = await startUpstream(t)
  upstream.script = stream(
    chunk({ reasoning_content: 'Let me' }),
    chunk({ reasoning: ' think', content: null }),
    chunk({ refusal: 'No.' }),
    chunk({}, 'stop'),
    '[DONE]',
  )
  const { events } = await collect()
  assert.deepEqual(events.slice(0, 3), [
    { type: 'reasoning', choice: 0, text: 'Let me' },
    { type: 'reasoning', choice: 0, text: ' think' },
    { type: 'refusal', choice: 0, text: 'No.' },
  ])
})

test('log-probabilities come with their deltas', async (t) => {
  const { upstream, collect } = await startUpstream(t)
  const top = { token: 'é', logprob: -0.5, bytes: null }
  const logprobs = { content: [{ ...top, top_logprobs: [top] }], refusal: null }
  upstream.script = stream(
    { choices: [{ index: 0, delta: { content: 'é' }, logprobs, finish_reason: null }] },
    chunk({}, 'stop'),
    '[DONE]',
  )
  const { events } = await collect(chatOf({ sampling: { logprobs: 1 } }))
  const token = { token: 'é', logprob: -0.5, bytes: [0xc3, 0xa9] }
  assert.deepEqual(events[0], {
    type: 'delta',
    choice: 0,
    text: 'é',
    tokens: 1,
    logprobs: [{ ...token, top: [token] }],
  })
})

test('completions are read too, with echo and log-probabilities', async (t) => {
  const { upstream, collect } = await startUpstream(t)
  const logprobs = {
    tokens: ['On', 'ce'],
    token_logprobs: [null, -1],
    top_logprobs: [null, { ce: -1 }],
    text_offset: [0, 2],
  }
  upstream.script = stream(
    { choices: [{ index: 0, text: 'Once', logprobs, finish_reason: null }] },
    { choices: [{ index: 0, text: ' upon', logprobs: null, finish_reason: null }] },
    { choices: [{ index: 0, text: ' a time', logprobs: null, finish_reason: 'length' }] },
    usageChunk(),
    '[DONE]',
  )
  const { events, error } = await collect(completionOf())
  assert.equal(error, null)
  assert.equal(textOf(events), 'Once upon a time')
  const [first] = events
  assert(first?.type === 'delta' && first.tokens === 2)
  // An echoed prompt's first token has no probability.
  assert.equal(first.logprobs?.[0]?.logprob, NaN)
})

test('usage that nobody told is estimated, and marked', async (t) => {
  const { upstream, collect } = await startUpstream(t, { streamUsage: false })
  upstream.script = stream(
    ...chatChunks(['four char', 'acters each']).filter(
      (each) => typeof each === 'string' || !('usage' in (each as object)),
    ),
  )
  const { events } = await collect()
  assert.equal(upstream.only.json.stream_options, undefined)
  const done = events.at(-1)
  assert(done?.type === 'done')
  assert.deepEqual(done.usage, {
    promptTokens: 5,
    cachedTokens: 0,
    completionTokens: 5,
    isEstimated: true,
  })
})

test('usage on every chunk, and a chunk that is like the others but for it, count once', async (t) => {
  const { upstream, collect } = await startUpstream(t)
  const usage = (completion_tokens: number) => ({ usage: { ...USAGE, completion_tokens } })
  upstream.script = stream(
    chunk({ content: 'a' }, null, usage(1)),
    chunk({ content: 'b' }, null, usage(2)),
    chunk({ content: 'c' }, 'stop', usage(3)),
    '[DONE]',
  )
  const { events } = await collect()
  const done = events.at(-1)
  assert(done?.type === 'done' && done.usage.completionTokens === 3)
  assert.equal(textOf(events), 'abc')
})

test('a server that streams to everybody, or to nobody, is understood', async (t) => {
  const { upstream, collect } = await startUpstream(t)
  upstream.next.push((x) => x.json(200, chatBody({ content: 'Hello' })))
  assert.equal(textOf((await collect()).events), 'Hello')
  upstream.next.push(stream(...chatChunks(['Hello'])))
  assert.equal(textOf((await collect(chatOf({ isStreamed: false }))).events), 'Hello')
})

test('content in parts is read', async (t) => {
  const { upstream, collect } = await startUpstream(t)
  const thinking = [{ type: 'text', text: 'hm' }]
  const content = [
    { type: 'thinking', thinking },
    { type: 'text', text: 'Hello' },
  ]
  upstream.script = (x) => x.json(200, chatBody({ content }))
  const { events } = await collect(chatOf({ isStreamed: false }))
  assert.deepEqual(events[0], { type: 'reasoning', choice: 0, text: 'hm' })
  assert.equal(textOf(events), 'Hello')
})

const call = (
  index: number | undefined,
  id: string | undefined,
  name: string | undefined,
  args: unknown,
) => ({
  ...(index !== undefined && { index }),
  ...(id !== undefined && { id, type: 'function' }),
  function: { ...(name !== undefined && { name }), arguments: args },
})
const A = { id: 'a', name: 'add', arguments: '{"x":1}' }
const B = { id: 'b', name: 'sub', arguments: '{"y":2}' }

/** what servers send → the calls that are meant */
const CALLS: Record<string, [unknown[], unknown[]]> = {
  'in pieces, as OpenAI sends them': [
    [
      call(0, 'a', 'add', ''),
      call(0, undefined, undefined, '{"x"'),
      call(0, undefined, undefined, ':1}'),
      call(1, 'b', 'sub', '{"y":2}'),
    ],
    [A, B],
  ],
  'without an index': [
    [
      call(undefined, 'a', 'add', '{"x"'),
      call(undefined, undefined, undefined, ':1}'),
      call(undefined, 'b', 'sub', '{"y":2}'),
    ],
    [A, B],
  ],
  'all with index 0': [
    [call(0, 'a', 'add', '{"x":1}'), call(0, 'b', 'sub', '{"y":2}')],
    [A, B],
  ],
  interleaved: [
    [
      call(0, 'a', 'add', '{"x"'),
      call(1, 'b', 'sub', '{"y"'),
      call(0, undefined, undefined, ':1}'),
      call(1, undefined, undefined, ':2}'),
    ],
    [A, B],
  ],
  'with an id for each piece': [
    [call(0, 'a', 'add', '{"x"'), call(0, 'other', undefined, ':1}')],
    [A],
  ],
  'with name and id in each piece': [
    [call(0, 'a', 'add', '{"x"'), call(0, 'a', 'add', ':1}')],
    [A],
  ],
  'with arguments as an object': [[call(0, 'a', 'add', { x: 1 })], [A]],
  'with null for what is not there': [
    [
      { index: 0, id: 'a', function: { name: 'add', arguments: null } },
      { index: 0, id: null, function: { name: null, arguments: '{"x":1}' } },
    ],
    [A],
  ],
  'with arguments before the name': [
    [call(0, 'a', undefined, '{"x"'), call(0, undefined, 'add', ':1}')],
    [A],
  ],
}

for (const [name, [pieces, expected]] of Object.entries(CALLS)) {
  test(`tool calls ${name} are put together`, async (t) => {
    const { upstream, collect } = await startUpstream(t)
    const end = chunk({}, 'tool_calls')
    upstream.script = stream(
      ...pieces.map((piece) => chunk({ tool_calls: [piece] })),
      end,
      '[DONE]',
    )
    const { events, error } = await collect()
    assert.equal(error, null)
    assert.deepEqual(callsOf(events), expected)
    assert(events.some((e) => e.type === 'finished' && e.finishReason === 'tool_calls'))
  })
}

test("a call without an id gets one, and 'stop' after calls means that they are to be made", async (t) => {
  const { upstream, collect } = await startUpstream(t)
  const pieces = [call(undefined, undefined, 'add', '{}'), call(undefined, undefined, 'add', '{}')]
  upstream.script = (x) => x.json(200, chatBody({ content: null, tool_calls: pieces }))
  const { events } = await collect(chatOf({ isStreamed: false }))
  const ids = callsOf(events).map(({ id }) => id)
  assert.equal(new Set(ids).size, 2)
  for (const id of ids) assert.match(id, /^call_\w+$/)
  assert(events.some((e) => e.type === 'finished' && e.finishReason === 'tool_calls'))
})
