// Messages through Anthropic's official client, over upstreams of each dialect; and Anthropic's API asked by OpenAI's.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import Anthropic from '@anthropic-ai/sdk'

import { AnthropicUpstream } from '../../gateway/backends/upstream/anthropic.ts'
import { GeminiUpstream } from '../../gateway/backends/upstream/gemini.ts'
import { OpenAIUpstream } from '../../gateway/backends/upstream/openai.ts'
import {
  end,
  errorBody,
  message,
  start,
  streamEvents,
  textBlock,
  thinkingBlock,
  toolBlock,
  writeEvents,
} from '../support/anthropic-wire.ts'
import * as gemini from '../support/gemini-wire.ts'
import { KEY, startGateway } from '../support/gateway.ts'
import { chatChunks, chunk, usageChunk } from '../support/openai-wire.ts'
import { routesTo } from '../support/scripted-backend.ts'
import { ScriptedUpstream } from '../support/scripted-upstream.ts'
import type { Backend } from '../../gateway/backends/backend.ts'
import type { Script } from '../support/scripted-upstream.ts'

const MODEL = 'there'
const SECRET = 'planted-secret-0123456789'

interface Closable extends Backend {
  close(): Promise<void>
}

const DIALECTS = {
  anthropic: (url: string): Closable => new AnthropicUpstream({ baseUrl: url, apiKey: SECRET }),
  gemini: (url: string): Closable => new GeminiUpstream({ baseUrl: url, apiKey: SECRET }),
  openai: (url: string): Closable => new OpenAIUpstream({ baseUrl: url, apiKey: SECRET }),
}

async function startOver(t: TestContext, dialect: keyof typeof DIALECTS) {
  const upstream = await ScriptedUpstream.start(t)
  const backend = DIALECTS[dialect](upstream.url)
  t.after(() => backend.close())
  const gateway = await startGateway(t, { deps: { routes: routesTo(backend) } })
  const anthropic = new Anthropic({ baseURL: gateway.url, apiKey: KEY, maxRetries: 0 })
  return { ...gateway, upstream, anthropic }
}

const ASKED = {
  model: MODEL,
  max_tokens: 50,
  messages: [{ role: 'user' as const, content: 'Weather in Paris?' }],
  tools: [
    {
      name: 'weather',
      description: 'Tells the weather.',
      input_schema: { type: 'object' as const, properties: { city: { type: 'string' as const } } },
    },
  ],
}

const CALLED = ['I look.', { city: 'Paris' }, {}]

const SCRIPTS: Record<keyof typeof DIALECTS, Script> = {
  anthropic: streamEvents([
    start(),
    ...textBlock(0, ['I ', 'look.']),
    ...toolBlock(1, 'toolu_1', 'weather', ['{"city":', '"Paris"}']),
    ...toolBlock(2, 'toolu_2', 'weather', []),
    ...end('tool_use'),
  ]),
  gemini: gemini.streamChunks(
    gemini.chunk([{ text: 'I look.' }]),
    gemini.chunk([{ functionCall: { name: 'weather', args: { city: 'Paris' } } }]),
    gemini.end('STOP', [{ functionCall: { name: 'weather', args: {} } }]),
  ),
  openai: async (x) => {
    const call = (index: number, more: object) => chunk({ tool_calls: [{ index, ...more }] })
    await x.stream([
      chunk({ role: 'assistant', content: 'I look.' }),
      call(0, { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '' } }),
      call(0, { function: { arguments: '{"city":' } }),
      call(0, { function: { arguments: '"Paris"}' } }),
      call(1, { id: 'call_2', type: 'function', function: { name: 'weather', arguments: '{}' } }),
      chunk({}, 'tool_calls'),
      usageChunk(),
      '[DONE]',
    ])
    await x.end()
  },
}

for (const dialect of ['anthropic', 'gemini', 'openai'] as const) {
  test(`the stream helper gets text and calls of tools from an upstream of ${dialect}`, async (t) => {
    const { anthropic, upstream, log } = await startOver(t, dialect)
    upstream.script = SCRIPTS[dialect]
    const stream = anthropic.messages.stream(ASKED)
    const blocks: string[] = []
    stream.on('contentBlock', (block) => blocks.push(block.type))
    const { content, stop_reason: reason, usage } = await stream.finalMessage()
    assert.deepEqual(blocks, ['text', 'tool_use', 'tool_use'])
    const said = content.map((block) =>
      block.type === 'text' ? block.text : block.type === 'tool_use' ? block.input : block,
    )
    assert.deepEqual(said, CALLED)
    assert.equal(reason, 'tool_use')
    assert(usage.input_tokens > 0 && usage.output_tokens > 0)
    const record = await log.onlyRecord()
    assert.equal(record.outcome, 'completed')
    assert.equal(record.version, `${MODEL}@far`)

    // The second turn gives the calls back with their results.
    const calls = content.filter((block) => block.type === 'tool_use')
    await anthropic.messages
      .stream({
        ...ASKED,
        messages: [
          ...ASKED.messages,
          { role: 'assistant', content },
          {
            role: 'user',
            content: calls.map(({ id }) => ({
              type: 'tool_result' as const,
              tool_use_id: id,
              content: 'rain',
            })),
          },
        ],
      })
      .finalMessage()
    assert.equal(upstream.requests.length, 2)
  })
}

test('thoughts come through and go back as they were', async (t) => {
  const { anthropic, upstream } = await startOver(t, 'anthropic')
  upstream.script = streamEvents([
    start(),
    ...thinkingBlock(0, ['Let me', ' see.'], 'c2ln'),
    ...textBlock(1, ['Yes.']),
    ...end('end_turn'),
  ])
  const thinking = { type: 'enabled' as const, budget_tokens: 1024 }
  const { content } = await anthropic.messages.stream({ ...ASKED, thinking }).finalMessage()
  assert.deepEqual(content[0], { type: 'thinking', thinking: 'Let me see.', signature: 'c2ln' })
  assert.deepEqual(upstream.only.json.thinking, thinking)

  const messages = [...ASKED.messages, { role: 'assistant' as const, content }]
  await anthropic.messages
    .stream({ ...ASKED, messages: [...messages, { role: 'user', content: 'And?' }] })
    .finalMessage()
  const [, again] = upstream.requests
  assert.deepEqual(again!.json.messages[1].content, [
    { type: 'thinking', thinking: 'Let me see.', signature: 'c2ln' },
    { type: 'text', text: 'Yes.' },
  ])
})

test('a whole message with thoughts, calls and what was cached', async (t) => {
  const { anthropic, upstream } = await startOver(t, 'anthropic')
  const content = [
    { type: 'thinking', thinking: 'Hm.', signature: 'c2ln' },
    { type: 'redacted_thinking', data: 'Y2lwaGVy' },
    { type: 'text', text: 'I look.' },
    { type: 'tool_use', id: 'toolu_1', name: 'weather', input: { city: 'Paris' } },
  ]
  upstream.script = (x) => x.json(200, message(content, 'tool_use'))
  const answer = await anthropic.messages.create({
    ...ASKED,
    system: [{ type: 'text', text: 'Long.', cache_control: { type: 'ephemeral' } }],
    metadata: { user_id: 'u-1' },
    service_tier: 'standard_only',
  })
  const [thought, redacted, text, call] = answer.content
  assert.deepEqual(thought, content[0])
  assert.deepEqual(redacted, content[1])
  assert.equal(text?.type, 'text')
  assert(call?.type === 'tool_use')
  assert.deepEqual(call.input, { city: 'Paris' })
  assert.equal(answer.usage.input_tokens, 10)
  assert.equal(answer.usage.cache_creation_input_tokens, 20)
  assert.equal(answer.usage.cache_read_input_tokens, 30)
  const { json } = upstream.only
  assert.deepEqual(json.system, [
    { type: 'text', text: 'Long.', cache_control: { type: 'ephemeral' } },
  ])
  assert.deepEqual(json.metadata, { user_id: 'u-1' })
  assert.equal(json.service_tier, 'standard_only')
})

for (const isStreamed of [true, false]) {
  const how = isStreamed ? 'a streamed' : 'a whole'
  test(`${how} message that a stop string ended says which`, async (t) => {
    const { anthropic, upstream } = await startOver(t, 'anthropic')
    const said = { stop_sequence: 'END' }
    upstream.script = isStreamed
      ? streamEvents([start(), ...textBlock(0, ['a']), ...end('stop_sequence', 1, said)])
      : (x) => x.json(200, message([{ type: 'text', text: 'a' }], 'stop_sequence', said))
    const asked = { ...ASKED, stop_sequences: ['END'] }
    const answer = isStreamed
      ? await anthropic.messages.stream(asked).finalMessage()
      : await anthropic.messages.create(asked)
    assert.equal(answer.stop_reason, 'stop_sequence')
    assert.equal(answer.stop_sequence, 'END')
    assert.deepEqual(upstream.only.json.stop_sequences, ['END'])
  })
}

test('features on trial are asked for where they are known, beside those that are declared', async (t) => {
  const upstream = await ScriptedUpstream.start(t)
  const backend = new AnthropicUpstream({
    baseUrl: upstream.url,
    apiKey: SECRET,
    headers: { 'Anthropic-Beta': 'declared-2026-01-01, both' },
  })
  t.after(() => backend.close())
  const { url } = await startGateway(t, { deps: { routes: routesTo(backend) } })
  const client = new Anthropic({ baseURL: url, apiKey: KEY, maxRetries: 0 })
  upstream.script = (x) => x.json(200, message([{ type: 'text', text: 'Hello' }]))
  const { tools: _tools, ...asked } = ASKED
  await client.beta.messages.create({ ...asked, betas: ['both', 'asked-2026-02-02'] })
  await client.messages.create(asked)
  upstream.script = (x) => x.json(200, { input_tokens: 3 })
  const { max_tokens: _max, ...counted } = asked
  await client.beta.messages.countTokens({ ...counted, betas: ['asked-2026-02-02'] })
  const told = upstream.requests.map(({ headers }) => String(headers['anthropic-beta']).split(','))
  const declared = ['declared-2026-01-01', 'both']
  assert.deepEqual(told[0], [...declared, 'asked-2026-02-02'])
  assert.deepEqual(told[1], declared)
  assert(told[2]?.includes('asked-2026-02-02'))

  await assert.rejects(
    client.messages.create(asked, { headers: { 'anthropic-beta': 'a feature' } }),
    (error) =>
      error instanceof Anthropic.BadRequestError && /names 'a feature'/.test(error.message),
  )
})

test('no other upstream hears of such features', async (t) => {
  const { anthropic, upstream } = await startOver(t, 'openai')
  upstream.script = SCRIPTS.openai
  await anthropic.messages
    .stream(ASKED, { headers: { 'anthropic-beta': 'asked-2026-02-02' } })
    .finalMessage()
  assert.equal(upstream.only.headers['anthropic-beta'], undefined)
})

test('images go to an upstream of another dialect', async (t) => {
  const { anthropic, upstream } = await startOver(t, 'openai')
  upstream.script = async (x) => {
    await x.stream(chatChunks(['A cat.']))
    await x.end()
  }
  const text = await anthropic.messages
    .stream({
      ...ASKED,
      messages: [
        {
          role: 'user',
          content: [
            { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBO' } },
            { type: 'text', text: 'What is it?' },
          ],
        },
      ],
    })
    .finalText()
  assert.equal(text, 'A cat.')
  const [image] = upstream.only.json.messages[0].content
  assert.equal(image.image_url.url, 'data:image/png;base64,iVBO')
})

test('what only Anthropic understands is refused by name at another upstream', async (t) => {
  const { anthropic, upstream } = await startOver(t, 'openai')
  const thinking = { type: 'enabled' as const, budget_tokens: 1024 }
  await assert.rejects(anthropic.messages.create({ ...ASKED, thinking }), (error) => {
    assert(error instanceof Anthropic.BadRequestError)
    assert.match(error.apiMessage ?? '', /'thinking'/)
    return true
  })
  assert.equal(upstream.requests.length, 0)
})

test('a client that leaves hangs up on the upstream', async (t) => {
  const { anthropic, upstream, log } = await startOver(t, 'anthropic')
  upstream.script = async (x) => {
    await writeEvents(x, [start(), ...textBlock(0, ['Hello'])])
    await x.stall()
  }
  const stream = await anthropic.messages.create({ ...ASKED, stream: true })
  for await (const event of stream) if (event.type === 'content_block_delta') break
  await upstream.only.hungUp
  const record = await log.onlyRecord()
  assert.equal(record.outcome, 'cancelled')
  assert.deepEqual(record.answer, ['Hello'])
})

test('a cut in the middle ends the stream with an error and without its last events', async (t) => {
  const { post, upstream, log } = await startOver(t, 'anthropic')
  upstream.script = async (x) => {
    await writeEvents(x, [start(), ...textBlock(0, ['Hello'])])
    // A reset takes with it what has not been read.
    await x.delay(20)
    x.cut()
  }
  const text = await (await post('/v1/messages', { ...ASKED, stream: true })).text()
  assert.match(text, /Hello/)
  assert.match(text, /\nevent: error\ndata: \{"type":"error".*\n\n$/)
  assert.doesNotMatch(text, /message_delta|message_stop/)
  assert.equal((await log.onlyRecord()).outcome, 'failed')
})

test('a refusal keeps its words', async (t) => {
  const { anthropic, upstream } = await startOver(t, 'anthropic')
  const details = { stop_details: { type: 'refusal', category: null, explanation: 'I won’t.' } }
  upstream.script = streamEvents([start(), ...end('refusal', 0, details)])
  const answer = await anthropic.messages.stream(ASKED).finalMessage()
  assert.equal(answer.stop_reason, 'refusal')
  assert.equal(answer.stop_details?.explanation, 'I won’t.')
})

test("an upstream's faults are the client's own classes, and say nothing of the key", async (t) => {
  const { anthropic, upstream } = await startOver(t, 'anthropic')
  const faults = [
    [429, 'rate_limit_error', Anthropic.RateLimitError],
    [529, 'overloaded_error', Anthropic.InternalServerError],
    [401, 'api_error', Anthropic.InternalServerError],
    [400, 'invalid_request_error', Anthropic.BadRequestError],
  ] as const
  for (const [status, type, expected] of faults) {
    upstream.script = (x) =>
      x.json(status, errorBody('any', `no: ${SECRET}`), { 'retry-after': '3' })
    await assert.rejects(anthropic.messages.create(ASKED), (error) => {
      assert(error instanceof expected, String(error))
      assert.equal(error.type, type)
      if (status !== 400) assert.equal(error.headers?.get('retry-after'), '3')
      assert.doesNotMatch(JSON.stringify(error.error), new RegExp(SECRET))
      return true
    })
  }
})

test('arguments that are no JSON are no success in a dialect that tells objects', async (t) => {
  const { anthropic, upstream } = await startOver(t, 'openai')
  upstream.script = (x) =>
    x.json(200, {
      object: 'chat.completion',
      choices: [
        {
          index: 0,
          finish_reason: 'tool_calls',
          message: {
            role: 'assistant',
            content: null,
            tool_calls: [
              { id: 'a', type: 'function', function: { name: 'weather', arguments: '{"ci' } },
            ],
          },
        },
      ],
    })
  await assert.rejects(anthropic.messages.create(ASKED), Anthropic.InternalServerError)
})

test('tokens are counted by the upstream that can, and estimated where it fails', async (t) => {
  const { anthropic, upstream } = await startOver(t, 'anthropic')
  const { model, messages, tools } = ASKED
  upstream.next.push((x) => x.json(200, { input_tokens: 17 }))
  const counted = await anthropic.messages.countTokens({ model, messages, tools }).withResponse()
  assert.equal(counted.data.input_tokens, 17)
  assert.equal(counted.response.headers.get('x-headrace-token-count'), 'measured')

  upstream.next.push((x) => x.json(500, errorBody('api_error', 'Internal')))
  const guessed = await anthropic.messages.countTokens({ model, messages, tools }).withResponse()
  assert(guessed.data.input_tokens > 0)
  assert.equal(guessed.response.headers.get('x-headrace-token-count'), 'estimated')

  upstream.next.push((x) => x.json(400, errorBody('invalid_request_error', 'messages: bad')))
  await assert.rejects(
    anthropic.messages.countTokens({ model, messages, tools }),
    Anthropic.BadRequestError,
  )
})

test("OpenAI's client gets Anthropic's calls of tools", async (t) => {
  const { client, upstream } = await startOver(t, 'anthropic')
  upstream.script = SCRIPTS.anthropic
  const { choices } = await client.chat.completions
    .stream({
      model: MODEL,
      messages: [{ role: 'user', content: 'Weather in Paris?' }],
      tools: [{ type: 'function', function: { name: 'weather', parameters: {} } }],
    })
    .finalChatCompletion()
  assert.equal(choices[0]?.message.content, 'I look.')
  assert.equal(choices[0]?.finish_reason, 'tool_calls')
  const calls = choices[0]?.message.tool_calls?.map((call) =>
    call.type === 'function' ? call.function.arguments : '',
  )
  assert.deepEqual(calls, ['{"city":"Paris"}', '{}'])
  assert.deepEqual(upstream.only.json.tools[0].input_schema, { type: 'object' })
})
