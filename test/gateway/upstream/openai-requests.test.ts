// What an OpenAI-compatible upstream is sent for a question of ours.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { GatewayError } from '../../../gateway/errors.ts'
import { chatOf, completionOf, KEY, startUpstream } from './openai-questions.ts'
import { answerChat } from '../../support/openai-wire.ts'
import type { Question } from '../../../gateway/backends/backend.ts'
import type { OpenAIUpstreamOptions } from '../../../gateway/backends/upstream/openai.ts'
import type { TestContext } from 'node:test'

async function sent(t: TestContext, question: Question, options?: Partial<OpenAIUpstreamOptions>) {
  const { upstream, collect } = await startUpstream(t, options)
  upstream.script = answerChat(['Hello'])
  const { error } = await collect(question)
  if (error) throw error as Error
  return upstream.only
}

test('a plain question is written plainly', async (t) => {
  const { path, headers, json } = await sent(t, chatOf({ isStreamed: false }))
  assert.equal(path, '/v1/chat/completions')
  assert.equal(headers['authorization'], `Bearer ${KEY}`)
  assert.deepEqual(json, { model: 'gpt', messages: [{ role: 'user', content: 'Hi' }] })
})

test('a stream is asked for with its usage', async (t) => {
  const { json } = await sent(t, chatOf())
  assert.equal(json.stream, true)
  assert.deepEqual(json.stream_options, { include_usage: true })
})

test('everything that a conversation can say is written', async (t) => {
  const image = { kind: 'base64', mediaType: 'image/png', data: 'AAAA' } as const
  const parameters = { type: 'object', properties: {} }
  const { json } = await sent(
    t,
    chatOf({
      isStreamed: false,
      messages: [
        { role: 'system', content: [{ type: 'text', text: 'Be brief.' }] },
        {
          role: 'user',
          name: 'ann',
          content: [
            { type: 'text', text: 'Look' },
            { type: 'image', source: image, detail: 'low' },
            { type: 'image', source: { kind: 'url', url: 'https://x/y.png' } },
            { type: 'audio', data: 'BBBB', format: 'wav' },
            { type: 'file', source: { kind: 'id', id: 'file-1' } },
            { type: 'file', source: { ...image, mediaType: 'application/pdf' }, name: 'a.pdf' },
          ],
        },
        { role: 'assistant', content: [], toolCalls: [{ id: 'a', name: 'add', arguments: '{}' }] },
        { role: 'tool', toolCallId: 'a', content: [{ type: 'text', text: '3' }] },
        {
          role: 'assistant',
          content: [],
          toolCalls: [],
          refusal: 'No.',
          reasoning: [{ text: 'hm' }],
        },
      ],
      tools: [{ name: 'add', description: 'Adds', parameters, strict: true }],
      toolChoice: { name: 'add' },
      parallelToolCalls: false,
      responseFormat: { type: 'json_schema', name: 'out', schema: parameters, strict: true },
      reasoningEffort: 'low',
      choices: 1,
      maxTokens: 7,
      stop: ['\n'],
      user: 'ann',
      sampling: {
        temperature: 0,
        topP: 0.9,
        topK: 5,
        minP: 0.1,
        seed: 3,
        presencePenalty: 1,
        frequencyPenalty: -1,
        repetitionPenalty: 1.1,
        logitBias: { 5: 2 },
        logprobs: 2,
      },
      extra: { service_tier: 'flex', metadata: { a: 'b' } },
    }),
  )
  assert.deepEqual(json, {
    model: 'gpt',
    messages: [
      { role: 'system', content: 'Be brief.' },
      {
        role: 'user',
        name: 'ann',
        content: [
          { type: 'text', text: 'Look' },
          { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA', detail: 'low' } },
          { type: 'image_url', image_url: { url: 'https://x/y.png' } },
          { type: 'input_audio', input_audio: { data: 'BBBB', format: 'wav' } },
          { type: 'file', file: { file_id: 'file-1' } },
          {
            type: 'file',
            file: { file_data: 'data:application/pdf;base64,AAAA', filename: 'a.pdf' },
          },
        ],
      },
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'a', type: 'function', function: { name: 'add', arguments: '{}' } }],
      },
      { role: 'tool', tool_call_id: 'a', content: '3' },
      { role: 'assistant', content: null, refusal: 'No.' },
    ],
    tools: [
      {
        type: 'function',
        function: { name: 'add', description: 'Adds', parameters, strict: true },
      },
    ],
    tool_choice: { type: 'function', function: { name: 'add' } },
    parallel_tool_calls: false,
    response_format: {
      type: 'json_schema',
      json_schema: { name: 'out', schema: parameters, strict: true },
    },
    reasoning_effort: 'low',
    max_tokens: 7,
    stop: ['\n'],
    user: 'ann',
    temperature: 0,
    top_p: 0.9,
    top_k: 5,
    min_p: 0.1,
    seed: 3,
    presence_penalty: 1,
    frequency_penalty: -1,
    repetition_penalty: 1.1,
    logit_bias: { 5: 2 },
    logprobs: true,
    top_logprobs: 2,
    service_tier: 'flex',
    metadata: { a: 'b' },
  })
})

test("what the body says beyond that can't take the place of what was understood", async (t) => {
  const extra = { model: 'another', messages: [], stream: false, seed: 1 }
  const { json } = await sent(t, chatOf({ extra }))
  assert.equal(json.model, 'gpt')
  assert.equal(json.messages.length, 1)
  assert.equal(json.stream, true)
})

test('prompts are written as they came, several as a list', async (t) => {
  const texts = ['Once', 'Twice'].map((text) => ({ kind: 'text' as const, text }))
  const { upstream, collect } = await startUpstream(t)
  const ids = { kind: 'tokens' as const, ids: [1, 2] }
  for (const [prompts, expected] of [
    [texts.slice(0, 1), 'Once'],
    [texts, ['Once', 'Twice']],
    [[ids], [1, 2]],
    [
      [ids, ids],
      [
        [1, 2],
        [1, 2],
      ],
    ],
  ] as const) {
    await collect(completionOf({ prompts: [...prompts], echo: true, extra: { suffix: '.' } }))
    const { path, json } = upstream.requests.at(-1)!
    assert.equal(path, '/v1/completions')
    assert.deepEqual(json.prompt, expected)
    assert.equal(json.echo, true)
    assert.equal(json.suffix, '.')
  }
})

test('what can not be taken over is refused by name, before anything is asked', async (t) => {
  const { upstream, collect } = await startUpstream(t)
  const user = (part: object) => chatOf({ messages: [{ role: 'user', content: [part as never] }] })
  for (const [question, param] of [
    [chatOf({ dialect: 'anthropic', extra: { container: 'x' } }), 'container'],
    [chatOf({ extra: { modalities: ['text', 'audio'] } }), 'modalities'],
    [chatOf({ extra: { functions: [{}] } }), 'functions'],
    [user({ type: 'image', source: { kind: 'id', id: 'x' } }), 'messages'],
    [user({ type: 'file', source: { kind: 'url', url: 'https://x' } }), 'messages'],
  ] as const) {
    const { error } = await collect(question)
    assert(error instanceof GatewayError)
    assert.equal(error.code, 'unsupported_parameter')
    assert.equal(error.param, param)
  }
  assert.equal(upstream.requests.length, 0)
  assert.equal(
    (await collect(chatOf({ extra: { modalities: ['text'], audio: null } }))).error instanceof
      GatewayError,
    true,
  )
  assert.equal(upstream.requests.length, 1)
})

test('options of a server change what it is sent', async (t) => {
  const reasoning = [{ text: 'hm' }]
  const { json, headers } = await sent(
    t,
    chatOf({
      maxTokens: 5,
      messages: [{ role: 'assistant', content: [], toolCalls: [], reasoning }],
    }),
    {
      maxTokensField: 'max_completion_tokens',
      reasoningField: 'reasoning_content',
      streamUsage: false,
      headers: { 'openai-organization': 'org-1' },
    },
  )
  assert.equal(json.max_completion_tokens, 5)
  assert.equal(json.messages[0].reasoning_content, 'hm')
  assert.equal(json.stream_options, undefined)
  assert.equal(headers['openai-organization'], 'org-1')
})

test("Azure's deployments are addressed by path and version, with the key in its header", async (t) => {
  const azure = { style: 'deployments', apiVersion: '2024-10-21' } as const
  const { path, headers } = await sent(t, chatOf(), { azure })
  assert.equal(path, '/openai/deployments/gpt/chat/completions?api-version=2024-10-21')
  assert.equal(headers['api-key'], KEY)
  assert.equal(headers['authorization'], undefined)
})

test("Azure's v1 is laid out as OpenAI's own", async (t) => {
  const { path, headers } = await sent(t, chatOf(), { azure: { style: 'v1' } })
  assert.equal(path, '/openai/v1/chat/completions')
  assert.equal(headers['api-key'], KEY)
})

test('a server that asks for no key is sent none', async (t) => {
  const { headers } = await sent(t, chatOf(), { apiKey: null })
  assert.equal(headers['authorization'], undefined)
})

test("a developer's message is a system's where there is no such role", async (t) => {
  const messages = [{ role: 'developer' as const, content: [{ type: 'text' as const, text: 'x' }] }]
  const { json } = await sent(t, chatOf({ messages }))
  assert.equal(json.messages[0].role, 'system')
  const knowing = await sent(t, chatOf({ messages }), { hasDeveloperRole: true })
  assert.equal(knowing.json.messages[0].role, 'developer')
})
