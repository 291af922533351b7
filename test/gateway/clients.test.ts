// Official clients, unchanged, over upstreams of two dialects: what each of them does most, and what nobody else's test
// asks of it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import Anthropic from '@anthropic-ai/sdk'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { AIMessage, HumanMessage, ToolMessage } from '@langchain/core/messages'
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai'
import { embedMany, generateText, jsonSchema, stepCountIs, streamText, tool } from 'ai'

import { AnthropicUpstream } from '../../gateway/backends/upstream/anthropic.ts'
import {
  answerMessage,
  end,
  message,
  start,
  streamEvents,
  toolBlock,
} from '../support/anthropic-wire.ts'
import { collect, KEY } from '../support/gateway.ts'
import { answerChat, chatBody, chunk, usageChunk } from '../support/openai-wire.ts'
import { FAR_MODEL, routeTo, startUpstreamGateway, targetOf } from '../support/upstream-gateway.ts'
import type { Script } from '../support/scripted-upstream.ts'

interface Dialect {
  says: (words: string[]) => Script
  /** calls `weather` for Rome, streamed or not */
  calls: Script
}

const CALL = { id: 'call_a', type: 'function', function: { name: 'weather', arguments: '' } }
const PARAMETERS = {
  type: 'object' as const,
  properties: { city: { type: 'string' as const } },
  required: ['city'],
  additionalProperties: false,
}

const DIALECTS: Record<'openai' | 'anthropic', Dialect> = {
  openai: {
    says: answerChat,
    calls: async (x) => {
      const call = (args: string) => ({ ...CALL, function: { ...CALL.function, arguments: args } })
      if (!x.request.json.stream) {
        const choice = { index: 0, finish_reason: 'tool_calls' }
        const message = { role: 'assistant', content: null, tool_calls: [call('{"city":"Rome"}')] }
        return x.json(200, chatBody({}, { choices: [{ ...choice, message }] }))
      }
      const piece = (args: string) =>
        chunk({ tool_calls: [{ index: 0, function: { arguments: args } }] })
      await x.stream([
        chunk({ role: 'assistant', tool_calls: [{ index: 0, ...CALL }] }),
        ...['{"ci', 'ty":"Ro', 'me"}'].map(piece),
        chunk({}, 'tool_calls'),
        usageChunk(),
        '[DONE]',
      ])
      await x.end()
    },
  },
  anthropic: {
    says: answerMessage,
    calls: (x) => {
      if (!x.request.json.stream) {
        const use = { type: 'tool_use', id: 'call_a', name: 'weather', input: { city: 'Rome' } }
        return x.json(200, message([use], 'tool_use'))
      }
      const block = toolBlock(0, 'call_a', 'weather', ['{"ci', 'ty":"Ro', 'me"}'])
      return streamEvents([start(), ...block, ...end('tool_use')])(x)
    },
  },
}

/** A gateway in front of an upstream of this dialect. */
async function startFor(t: TestContext, dialect: keyof typeof DIALECTS) {
  const gateway = await startUpstreamGateway(t)
  if (dialect === 'anthropic') {
    const backend = new AnthropicUpstream({ baseUrl: gateway.upstream.url, apiKey: 'a-key' })
    t.after(() => backend.close())
    gateway.routes.set(FAR_MODEL, routeTo([targetOf(backend)]))
  }
  return { ...gateway, baseURL: `${gateway.url}/v1` }
}

for (const [name, { says, calls }] of Object.entries(DIALECTS)) {
  const dialect = name as keyof typeof DIALECTS

  test(`the AI SDK generates and streams text over ${dialect}`, async (t) => {
    const { baseURL, upstream } = await startFor(t, dialect)
    const provider = createOpenAICompatible({
      name: 'headrace',
      baseURL,
      apiKey: KEY,
      includeUsage: true,
    })
    const model = provider(FAR_MODEL)
    upstream.script = says(['Hel', 'lo'])

    const generated = await generateText({ model, prompt: 'Hi', maxRetries: 0 })
    assert.deepEqual([generated.text, generated.finishReason], ['Hello', 'stop'])
    assert.equal(generated.usage.outputTokens, 4)

    const streamed = streamText({ model, system: 'Be brief.', prompt: 'Hi', maxRetries: 0 })
    assert.deepEqual(await collect(streamed.textStream), ['Hel', 'lo'])
    assert.equal(await streamed.finishReason, 'stop')
    assert.equal((await streamed.usage).outputTokens, 4)
  })

  for (const isStreamed of [false, true]) {
    test(`the AI SDK's tools go round over ${dialect}, ${isStreamed ? 'streamed' : 'whole'}`, async (t) => {
      const { baseURL, upstream } = await startFor(t, dialect)
      const model = createOpenAICompatible({ name: 'headrace', baseURL, apiKey: KEY })(FAR_MODEL)
      upstream.next.push(calls)
      upstream.script = says(['It ', 'rains.'])
      const cities: string[] = []
      const weather = tool({
        description: 'Of a city',
        inputSchema: jsonSchema<{ city: string }>(PARAMETERS),
        execute: ({ city }) => {
          cities.push(city)
          return Promise.resolve('rain')
        },
      })
      const asked = {
        model,
        prompt: 'Rome?',
        tools: { weather },
        stopWhen: stepCountIs(3),
        maxRetries: 0,
      }
      const text = isStreamed
        ? (await collect(streamText(asked).textStream)).join('')
        : (await generateText(asked)).text
      assert.equal(text, 'It rains.')
      assert.deepEqual(cities, ['Rome'])
      // What the tool said got there, in the words of the dialect.
      assert.match(upstream.requests[1]!.bytes.toString(), /"call_a".*rain/)
    })
  }

  test(`LangChain's chats, streams and tools go round over ${dialect}`, async (t) => {
    const { baseURL, upstream } = await startFor(t, dialect)
    const model = new ChatOpenAI({
      model: FAR_MODEL,
      apiKey: KEY,
      maxRetries: 0,
      configuration: { baseURL },
    })
    upstream.script = says(['Hel', 'lo'])
    const answer = await model.invoke('Hi')
    assert.deepEqual([answer.text, answer.usage_metadata?.output_tokens], ['Hello', 4])
    const texts = (await collect(await model.stream('Hi'))).map(({ text }) => text)
    assert.equal(texts.join(''), 'Hello')

    const weather = { name: 'weather', description: 'Of a city', parameters: PARAMETERS }
    const withTools = model.bindTools([{ type: 'function', function: weather }])
    upstream.next.push(calls, calls)
    const asked = new HumanMessage('Rome?')
    const called = await withTools.invoke([asked])
    assert(called instanceof AIMessage)
    assert.deepEqual(
      called.tool_calls?.map(({ id, name, args }) => [id, name, args]),
      [['call_a', 'weather', { city: 'Rome' }]],
    )
    const pieces = await collect(await withTools.stream([asked]))
    const whole = pieces.reduce((before, piece) => before.concat(piece))
    assert.deepEqual(whole.tool_calls?.[0]?.args, { city: 'Rome' })
    const result = new ToolMessage({ content: 'rain', tool_call_id: 'call_a' })
    assert.equal((await withTools.invoke([asked, called, result])).text, 'Hello')
  })

  test(`openai's helpers run tools and make responses over ${dialect}`, async (t) => {
    const { client, upstream } = await startFor(t, dialect)
    upstream.next.push(calls)
    upstream.script = says(['It ', 'rains.'])
    const runner = client.chat.completions.runTools({
      model: FAR_MODEL,
      stream: true,
      messages: [{ role: 'user', content: 'Rome?' }],
      tools: [
        {
          type: 'function',
          function: {
            name: 'weather',
            description: 'Of a city',
            parameters: PARAMETERS,
            parse: JSON.parse,
            function: ({ city }: { city: string }) => `rain in ${city}`,
          },
        },
      ],
    })
    assert.equal(await runner.finalContent(), 'It rains.')
    assert.match(upstream.requests[1]!.bytes.toString(), /rain in Rome/)

    const response = await client.responses.create({ model: FAR_MODEL, input: 'Hi', store: false })
    assert.equal(response.output_text, 'It rains.')
    const events = await collect(
      await client.responses.create({ model: FAR_MODEL, input: 'Hi', store: false, stream: true }),
    )
    assert.equal(events.at(-1)?.type, 'response.completed')
  })

  test(`Anthropic's client makes, streams and calls over ${dialect}`, async (t) => {
    const { url, upstream } = await startFor(t, dialect)
    const client = new Anthropic({ baseURL: url, apiKey: KEY, maxRetries: 0 })
    const asked = {
      model: FAR_MODEL,
      max_tokens: 64,
      messages: [{ role: 'user' as const, content: 'Rome?' }],
    }
    upstream.script = says(['Hel', 'lo'])
    const made = await client.messages.create(asked)
    const [block] = made.content
    assert.equal(block?.type === 'text' && block.text, 'Hello')
    assert.equal(await client.messages.stream(asked).finalText(), 'Hello')

    upstream.next.push(calls)
    const tools = [{ name: 'weather', input_schema: PARAMETERS }]
    const called = await client.messages.stream({ ...asked, tools }).finalMessage()
    assert.equal(called.stop_reason, 'tool_use')
    const [use] = called.content
    assert(use?.type === 'tool_use')
    assert.deepEqual([use.id, use.name, use.input], ['call_a', 'weather', { city: 'Rome' }])
  })
}

test('embeddings of the AI SDK and of LangChain come back in order', async (t) => {
  const { baseURL, upstream } = await startFor(t, 'openai')
  upstream.script = (x) => {
    const inputs: string[] = [x.request.json.input].flat()
    // A server may answer in any order; the index is what counts.
    const data = inputs
      .map((text, index) => ({ object: 'embedding', index, embedding: [text.length, 0.5] }))
      .toReversed()
    const usage = { prompt_tokens: 3, total_tokens: 3 }
    x.json(200, { object: 'list', data, model: 'gpt-far', usage })
  }
  const provider = createOpenAICompatible({ name: 'headrace', baseURL, apiKey: KEY })
  const values = ['a', 'four']
  const { embeddings } = await embedMany({
    model: provider.textEmbeddingModel(FAR_MODEL),
    values,
    maxRetries: 0,
  })
  assert.deepEqual(embeddings, [
    [1, 0.5],
    [4, 0.5],
  ])
  const langChain = new OpenAIEmbeddings({
    model: FAR_MODEL,
    apiKey: KEY,
    maxRetries: 0,
    configuration: { baseURL },
  })
  assert.deepEqual(await langChain.embedDocuments(values), embeddings)
})

test('the AI SDK and LangChain throw where a stream breaks, after what they had got', async (t) => {
  const { baseURL, upstream } = await startFor(t, 'openai')
  upstream.script = async (x) => {
    await x.stream([chunk({ content: 'Hel' })])
    await x.delay(10)
    x.cut()
  }
  const model = createOpenAICompatible({ name: 'headrace', baseURL, apiKey: KEY })(FAR_MODEL)
  const parts = await collect(
    streamText({ model, prompt: 'Hi', maxRetries: 0, onError: () => {} }).fullStream,
  )
  assert(parts.some((part) => part.type === 'text-delta' && part.text === 'Hel'))
  assert(parts.some(({ type }) => type === 'error'))
  const langChain = new ChatOpenAI({
    model: FAR_MODEL,
    apiKey: KEY,
    maxRetries: 0,
    configuration: { baseURL },
  })
  await assert.rejects(async () => collect(await langChain.stream('Hi')), /broke off/)
})
