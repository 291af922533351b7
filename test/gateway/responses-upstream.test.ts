// Responses over an upstream that speaks chat completions: what it is asked, and what becomes of its answers.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { OpenAIUpstream } from '../../gateway/backends/upstream/openai.ts'
import { MODEL, startGateway } from '../support/gateway.ts'
import { answerChat, chunk, USAGE, usageChunk } from '../support/openai-wire.ts'
import { routesTo } from '../support/scripted-backend.ts'
import { ScriptedUpstream } from '../support/scripted-upstream.ts'

const ASKED = { model: MODEL, input: 'Rome?', store: false }
const WEATHER = {
  type: 'function' as const,
  name: 'weather',
  parameters: { type: 'object', properties: { city: { type: 'string' } } },
  strict: true,
}

async function startOver(t: TestContext) {
  const upstream = await ScriptedUpstream.start(t)
  const backend = new OpenAIUpstream({ baseUrl: `${upstream.url}/v1`, apiKey: 'sk-upstream' })
  t.after(() => backend.close())
  return { ...(await startGateway(t, { deps: { routes: routesTo(backend) } })), upstream }
}

test('an upstream of chat completions is asked in its own words', async (t) => {
  const { client, upstream } = await startOver(t)
  upstream.script = answerChat(['Sun', 'ny'])
  const response = await client.responses.create({
    ...ASKED,
    instructions: 'Be short.',
    tools: [WEATHER],
    tool_choice: 'auto',
    max_output_tokens: 50,
    reasoning: { effort: 'low' },
    text: { verbosity: 'low', format: { type: 'json_object' } },
    prompt_cache_key: 'k',
  })
  assert.equal(response.output_text, 'Sunny')
  assert.deepEqual(response.usage?.input_tokens_details.cached_tokens, 5)
  assert.deepEqual(response.usage?.output_tokens_details.reasoning_tokens, 2)
  const { strict, parameters, name } = WEATHER
  assert.deepEqual(upstream.only.json, {
    model: MODEL,
    messages: [
      { role: 'system', content: 'Be short.' },
      { role: 'user', content: 'Rome?' },
    ],
    max_tokens: 50,
    tools: [{ type: 'function', function: { name, parameters, strict } }],
    tool_choice: 'auto',
    response_format: { type: 'json_object' },
    reasoning_effort: 'low',
    verbosity: 'low',
    prompt_cache_key: 'k',
  })
})

test("an upstream's streamed calls become items, and their outputs go back", async (t) => {
  const { client, upstream } = await startOver(t)
  const call = (at: number, called: object) => chunk({ tool_calls: [{ index: at, ...called }] })
  upstream.next.push(async (exchange) => {
    await exchange.stream([
      chunk({ role: 'assistant', content: null }),
      call(0, { id: 'call_a', type: 'function', function: { name: 'weather', arguments: '' } }),
      call(0, { function: { arguments: '{"city":' } }),
      call(0, { function: { arguments: '"Rome"}' } }),
      chunk({}, 'tool_calls'),
      usageChunk(USAGE),
      '[DONE]',
    ])
    await exchange.end()
  })
  const asked = { ...ASKED, tools: [WEATHER] }
  const first = await client.responses.stream(asked).finalResponse()
  const [item] = first.output
  assert.ok(item?.type === 'function_call')
  assert.deepEqual(item.arguments, '{"city":"Rome"}')

  upstream.script = answerChat(['Sunny'])
  const { call_id, name } = item
  await client.responses.create({
    ...asked,
    input: [
      { role: 'user', content: 'Rome?' },
      { type: 'function_call', call_id, name, arguments: item.arguments },
      { type: 'function_call_output', call_id, output: '21 degrees' },
    ],
  })
  assert.deepEqual(upstream.requests.at(-1)?.json.messages.slice(1), [
    {
      role: 'assistant',
      content: null,
      tool_calls: [
        {
          id: 'call_a',
          type: 'function',
          function: { name: 'weather', arguments: '{"city":"Rome"}' },
        },
      ],
    },
    { role: 'tool', tool_call_id: 'call_a', content: '21 degrees' },
  ])
})

test('an upstream that is cut ends the response as failed', async (t) => {
  const { post, upstream, log } = await startOver(t)
  const { promise: begun, resolve } = Promise.withResolvers<void>()
  upstream.script = async (exchange) => {
    await exchange.stream([chunk({ role: 'assistant', content: 'Sun' })])
    await begun
    exchange.cut()
  }
  const response = await post('/v1/responses', { ...ASKED, stream: true })
  resolve()
  const body = await response.text()
  assert.match(body, /event: response\.failed\n.*\n\nevent: error\n.*\n\n$/)
  assert.doesNotMatch(body, /response\.completed/)
  assert.equal((await log.onlyRecord()).outcome, 'failed')
})
