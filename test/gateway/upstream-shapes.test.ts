// What other dialects say, told in OpenAI's: every answer and every chunk against OpenAI's own document, where a copy of it
// lies beside the repository. Thoughts, several calls and what was cached are the parts that other gateways get wrong.

import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import type { TestContext } from 'node:test'

import { createParser } from 'eventsource-parser'

import * as anthropic from '../support/anthropic-wire.ts'
import { startDeclaredGateway } from '../support/declared-gateway.ts'
import * as gemini from '../support/gemini-wire.ts'
import { openaiShapes, skipWithoutDocument } from '../support/openai-document.ts'
import { chatBody, chunk, usageChunk } from '../support/openai-wire.ts'
import { ScriptedUpstream } from '../support/scripted-upstream.ts'
import type { Script } from '../support/scripted-upstream.ts'

const call = (index: number) => ({
  index,
  id: `call_${index}`,
  type: 'function',
  function: { name: 'weather', arguments: '{"city":"Paris"}' },
})
const compatible: Record<'whole' | 'streamed', Script> = {
  whole: (x) =>
    x.json(
      200,
      chatBody({ content: 'I look.', reasoning_content: 'Hm.', tool_calls: [call(0), call(1)] }),
    ),
  streamed: async (x) => {
    await x.stream([
      chunk({ role: 'assistant', reasoning_content: 'Hm.' }),
      chunk({ content: 'I look.' }),
      chunk({ tool_calls: [call(0)] }),
      chunk({ tool_calls: [call(1)] }),
      chunk({}, 'tool_calls'),
      usageChunk(),
      '[DONE]',
    ])
    await x.end()
  },
}
const input = { city: 'Paris' }
const claude: typeof compatible = {
  whole: (x) =>
    x.json(
      200,
      anthropic.message(
        [
          { type: 'thinking', thinking: 'Hm.', signature: 'S' },
          { type: 'text', text: 'I look.' },
          { type: 'tool_use', id: 'a', name: 'weather', input },
          { type: 'tool_use', id: 'b', name: 'weather', input },
        ],
        'tool_use',
      ),
    ),
  streamed: async (x) => {
    await anthropic.writeEvents(x, [
      anthropic.start(),
      ...anthropic.thinkingBlock(0, ['Hm.'], 'S'),
      ...anthropic.textBlock(1, ['I look.']),
      ...anthropic.toolBlock(2, 'a', 'weather', ['{"city":', '"Paris"}']),
      ...anthropic.toolBlock(3, 'b', 'weather', ['{}']),
      ...anthropic.end('tool_use'),
    ])
    await x.end()
  },
}
const parts = [
  { text: 'Hm.', thought: true },
  { text: 'I look.' },
  { functionCall: { name: 'weather', args: input } },
  { functionCall: { name: 'weather', args: {} } },
]
const gem: typeof compatible = {
  whole: (x) => x.json(200, gemini.end('STOP', parts)),
  streamed: gemini.streamChunks(...parts.map((part) => gemini.chunk([part])), gemini.end()),
}

const TOOLS = [{ type: 'function', function: { name: 'weather', parameters: { type: 'object' } } }]
const ASKED = { messages: [{ role: 'user', content: 'Hi' }], tools: TOOLS }

async function start(t: TestContext) {
  const upstream = await ScriptedUpstream.start(t)
  const model = (name: string) => ({ targets: [{ upstream: name, model: 'm' }], retries: 0 })
  const gateway = await startDeclaredGateway(t, {
    upstreams: {
      compatible: { api: 'compatible', base_url: `${upstream.url}/v1` },
      claude: { api: 'anthropic', base_url: `${upstream.url}/v1`, key: 'k' },
      gem: { api: 'gemini', base_url: `${upstream.url}/v1beta`, key: 'k' },
    },
    models: { compatible: model('compatible'), claude: model('claude'), gem: model('gem') },
  })
  return { ...gateway, upstream }
}

describe(
  "answers of other dialects in the shapes of OpenAI's document",
  { skip: skipWithoutDocument },
  () => {
    let check: (schema: string, body: unknown) => void
    before(() => {
      check = openaiShapes()
    })

    for (const [model, { whole, streamed }] of Object.entries({ compatible, claude, gem })) {
      test(`thoughts, words and calls of ${model}, whole`, async (t) => {
        const { upstream, post } = await start(t)
        upstream.script = whole
        const answered = await (await post('/v1/chat/completions', { model, ...ASKED })).json()
        check('CreateChatCompletionResponse', answered)
        const { message } = (answered as { choices: { message: Message }[] }).choices[0]!
        assert.equal(message.content, 'I look.')
        assert.equal(message.tool_calls?.length, 2)
      })

      test(`thoughts, words and calls of ${model}, streamed`, async (t) => {
        const { upstream, post } = await start(t)
        upstream.script = streamed
        const options = { stream: true, stream_options: { include_usage: true } }
        const response = await post('/v1/chat/completions', { model, ...ASKED, ...options })
        const frames: string[] = []
        createParser({ onEvent: ({ data }) => frames.push(data) }).feed(await response.text())
        assert.equal(frames.pop(), '[DONE]')
        const indexes = new Set<number>()
        for (const frame of frames) {
          const parsed = JSON.parse(frame) as { choices: { delta: Message }[] }
          check('CreateChatCompletionStreamResponse', parsed)
          for (const { index } of parsed.choices[0]?.delta.tool_calls ?? []) indexes.add(index)
        }
        assert.deepEqual([...indexes], [0, 1])
        assert.match(frames.at(-1) ?? '', /"choices":\[\],"usage":\{/)
      })
    }

    test('vectors', async (t) => {
      const { upstream, post } = await start(t)
      const data = [{ object: 'embedding', index: 0, embedding: [0.5] }]
      upstream.script = (x) => x.json(200, { object: 'list', data, model: 'm', usage: {} })
      const body = { model: 'compatible', input: 'Hi', encoding_format: 'float' }
      check('CreateEmbeddingResponse', await (await post('/v1/embeddings', body)).json())
    })
  },
)

interface Message {
  content?: string
  tool_calls?: { index: number }[]
}
