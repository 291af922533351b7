// The Responses API through LangChain's ChatOpenAI, unchanged.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { AIMessage, HumanMessage, ToolMessage } from '@langchain/core/messages'
import { ChatOpenAI } from '@langchain/openai'

import { KEY, MODEL, startGateway } from '../support/gateway.ts'
import { saying, ScriptedBackend, thinkingAndCalling } from '../support/scripted-backend.ts'

async function startLangChain(t: TestContext) {
  const backend = new ScriptedBackend()
  const { url } = await startGateway(t, { deps: { routes: backend.routes() } })
  const model = new ChatOpenAI({
    model: MODEL,
    apiKey: KEY,
    useResponsesApi: true,
    maxRetries: 0,
    configuration: { baseURL: `${url}/v1` },
  })
  return { backend, model }
}

test('LangChain is answered, and streamed to', async (t) => {
  const { backend, model } = await startLangChain(t)
  backend.script = () => saying('Hello', ' there')
  const answer = await model.invoke('Hi')
  assert.equal(answer.text, 'Hello there')
  assert.equal(answer.usage_metadata?.total_tokens, 12)

  let text = ''
  for await (const chunk of await model.stream('Hi')) text += chunk.text
  assert.equal(text, 'Hello there')
})

test('LangChain does not take a stream that breaks off for a short answer', async (t) => {
  const { backend, model } = await startLangChain(t)
  backend.script = function* () {
    yield { type: 'delta', choice: 0, text: 'Hel', tokens: 1 }
    throw new Error('lost')
  }
  await assert.rejects(async () => {
    for await (const chunk of await model.stream('Hi')) assert.equal(typeof chunk.text, 'string')
  })
})

test("LangChain's tools go round", async (t) => {
  const { backend, model } = await startLangChain(t)
  backend.script = thinkingAndCalling
  const weather = {
    type: 'function' as const,
    function: { name: 'weather', description: 'Of a city', parameters: { type: 'object' } },
  }
  const asked = new HumanMessage('Rome and Oslo?')
  const withTools = model.bindTools([weather])
  const called = await withTools.invoke([asked])
  assert.ok(called instanceof AIMessage)
  assert.deepEqual(
    called.tool_calls?.map(({ id, args }) => [id, args]),
    [
      ['call_a', { city: 'Rome' }],
      ['call_b', { city: 'Oslo' }],
    ],
  )

  backend.script = () => saying('Sun and snow.')
  const outputs = ['call_a', 'call_b'].map(
    (tool_call_id) => new ToolMessage({ content: 'cold', tool_call_id }),
  )
  const told = await withTools.invoke([asked, called, ...outputs])
  assert.equal(told.text, 'Sun and snow.')
  assert.deepEqual(
    backend.lastChat.messages.map(({ role }) => role),
    ['user', 'assistant', 'tool', 'tool'],
  )
})
