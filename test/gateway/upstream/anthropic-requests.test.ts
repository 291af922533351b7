// What Anthropic's API is asked, and what it can't be.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { AnthropicUpstream } from '../../../gateway/backends/upstream/anthropic.ts'
import { answerMessage } from '../../support/anthropic-wire.ts'
import { startAsking } from './asking.ts'
import { chatOf, completionOf, KEY } from './openai-questions.ts'
import type { TestContext } from 'node:test'
import type { Chat, Question } from '../../../gateway/backends/backend.ts'
import type { Message, Tool } from '../../../gateway/backends/conversation.ts'

const start = (t: TestContext) =>
  startAsking(t, 'claude', (url) => new AnthropicUpstream({ baseUrl: `${url}/v1`, apiKey: KEY }))

const text = (words: string) => ({ type: 'text' as const, text: words })
const user = (words: string): Message => ({ role: 'user', content: [text(words)] })
const WEATHER: Tool = {
  name: 'weather',
  description: 'Tells the weather.',
  parameters: { type: 'object', properties: { city: { type: 'string' } } },
}

/** what is asked in our words → what the body has */
const WRITTEN: Record<string, [Partial<Chat>, Record<string, unknown>]> = {
  'a bound of its own where the client gives none': [{}, { max_tokens: 8192 }],
  'the client’s bound': [{ maxTokens: 50 }, { max_tokens: 50 }],
  'no stream where none is asked for': [{ isStreamed: false }, { stream: undefined }],
  'system prompts apart, in order': [
    {
      messages: [
        { role: 'system', content: [text('Be brief.')] },
        user('Hi'),
        { role: 'developer', content: [text('Be kind.')] },
      ],
    },
    {
      system: [text('Be brief.'), text('Be kind.')],
      messages: [{ role: 'user', content: [text('Hi')] }],
    },
  ],
  'images by address, in base64 and by id': [
    {
      messages: [
        {
          role: 'user',
          content: [
            {
              type: 'image',
              source: { kind: 'url', url: 'https://example.com/a.png' },
              detail: 'low',
            },
            { type: 'image', source: { kind: 'base64', mediaType: 'image/png', data: 'iVBO' } },
            { type: 'image', source: { kind: 'id', id: 'file_1' } },
          ],
        },
      ],
    },
    {
      messages: [
        {
          role: 'user',
          content: [
            { type: 'image', source: { type: 'url', url: 'https://example.com/a.png' } },
            { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBO' } },
            { type: 'image', source: { type: 'file', file_id: 'file_1' } },
          ],
        },
      ],
    },
  ],
  'documents of PDF and of text': [
    {
      messages: [
        {
          role: 'user',
          content: [
            {
              type: 'file',
              name: 'a.pdf',
              source: { kind: 'base64', mediaType: 'application/pdf', data: 'JVBE' },
            },
            {
              type: 'file',
              source: {
                kind: 'base64',
                mediaType: 'text/markdown',
                data: Buffer.from('# Häuser').toString('base64'),
              },
            },
          ],
        },
      ],
    },
    {
      messages: [
        {
          role: 'user',
          content: [
            {
              type: 'document',
              source: { type: 'base64', media_type: 'application/pdf', data: 'JVBE' },
              title: 'a.pdf',
            },
            {
              type: 'document',
              source: { type: 'text', media_type: 'text/plain', data: '# Häuser' },
            },
          ],
        },
      ],
    },
  ],
  'results of tools in one turn, with what the user says next': [
    {
      messages: [
        user('Paris and Rome?'),
        {
          role: 'assistant',
          content: [text('I look.')],
          toolCalls: [
            { id: 'a', name: 'weather', arguments: '{"city":"Paris"}' },
            { id: 'b', name: 'weather', arguments: '' },
          ],
        },
        { role: 'tool', toolCallId: 'a', content: [text('rain')] },
        { role: 'tool', toolCallId: 'b', content: [text('no city')], isError: true },
        user('Well?'),
      ],
      tools: [WEATHER],
    },
    {
      messages: [
        { role: 'user', content: [text('Paris and Rome?')] },
        {
          role: 'assistant',
          content: [
            text('I look.'),
            { type: 'tool_use', id: 'a', name: 'weather', input: { city: 'Paris' } },
            { type: 'tool_use', id: 'b', name: 'weather', input: {} },
          ],
        },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 'a', content: [text('rain')] },
            { type: 'tool_result', tool_use_id: 'b', content: [text('no city')], is_error: true },
            text('Well?'),
          ],
        },
      ],
      tools: [
        {
          name: 'weather',
          description: 'Tells the weather.',
          input_schema: { type: 'object', properties: { city: { type: 'string' } } },
        },
      ],
    },
  ],
  'thoughts with their signatures before what was said, and none without': [
    {
      messages: [
        user('Hi'),
        {
          role: 'assistant',
          content: [text('Hello')],
          toolCalls: [],
          reasoning: [
            { text: 'Greet.', signature: 'c2ln' },
            { text: '', signature: 'redacted_thinking:Y2lwaGVy' },
            { text: 'Somebody else’s.' },
          ],
        },
        user('And?'),
      ],
    },
    {
      messages: [
        { role: 'user', content: [text('Hi')] },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'Greet.', signature: 'c2ln' },
            { type: 'redacted_thinking', data: 'Y2lwaGVy' },
            text('Hello'),
          ],
        },
        { role: 'user', content: [text('And?')] },
      ],
    },
  ],
  'an answer to be continued': [
    { messages: [user('A poem'), { role: 'assistant', content: [text('Once')], toolCalls: [] }] },
    {
      messages: [
        { role: 'user', content: [text('A poem')] },
        { role: 'assistant', content: [text('Once')] },
      ],
    },
  ],
  'no empty texts and no turns of nothing': [
    {
      messages: [
        user('Hi'),
        { role: 'assistant', content: [text('')], toolCalls: [] },
        { role: 'user', content: [text(''), text('Hello?')] },
      ],
    },
    { messages: [{ role: 'user', content: [text('Hi'), text('Hello?')] }] },
  ],
  'marks of what may be cached': [
    {
      messages: [
        {
          role: 'user',
          content: [{ type: 'text', text: 'Long', cacheMark: { type: 'ephemeral', ttl: '1h' } }],
        },
      ],
      tools: [{ ...WEATHER, cacheMark: { type: 'ephemeral' } }],
    },
    {
      messages: [
        {
          role: 'user',
          content: [{ ...text('Long'), cache_control: { type: 'ephemeral', ttl: '1h' } }],
        },
      ],
      tools: [
        {
          name: 'weather',
          description: 'Tells the weather.',
          input_schema: WEATHER.parameters,
          cache_control: { type: 'ephemeral' },
        },
      ],
    },
  ],
  'stop strings, sampling and the user': [
    {
      stop: ['END'],
      sampling: { temperature: 0.5, topP: 0.9, topK: 40, seed: undefined, presencePenalty: 0 },
      user: 'u-1',
    },
    {
      stop_sequences: ['END'],
      temperature: 0.5,
      top_p: 0.9,
      top_k: 40,
      metadata: { user_id: 'u-1' },
    },
  ],
  'any tool': [{ tools: [WEATHER], toolChoice: 'required' }, { tool_choice: { type: 'any' } }],
  'no tool': [{ tools: [WEATHER], toolChoice: 'none' }, { tool_choice: { type: 'none' } }],
  'one tool, once': [
    { tools: [WEATHER], toolChoice: { name: 'weather' }, parallelToolCalls: false },
    { tool_choice: { type: 'tool', name: 'weather', disable_parallel_tool_use: true } },
  ],
  'one call at a time': [
    { tools: [WEATHER], parallelToolCalls: false },
    { tool_choice: { type: 'auto', disable_parallel_tool_use: true } },
  ],
  'nothing about the default': [
    { tools: [WEATHER], toolChoice: 'auto', parallelToolCalls: true },
    { tool_choice: undefined },
  ],
  'JSON of a schema': [
    { responseFormat: { type: 'json_schema', name: 'a', schema: { type: 'object' } } },
    { output_config: { format: { type: 'json_schema', schema: { type: 'object' } } } },
  ],
  'effort, with what else the client said in the dialect': [
    {
      reasoningEffort: 'high',
      dialect: 'anthropic',
      extra: {
        thinking: { type: 'enabled', budget_tokens: 2048 },
        output_config: { later: 1 },
        service_tier: 'auto',
      },
    },
    {
      output_config: { later: 1, effort: 'high' },
      thinking: { type: 'enabled', budget_tokens: 2048 },
      service_tier: 'auto',
    },
  ],
  'no thoughts': [{ reasoningEffort: 'none' }, { thinking: { type: 'disabled' } }],
  'nothing of what only tells OpenAI about the client': [
    { extra: { metadata: { a: 'b' }, store: false, prompt_cache_key: 'k', seed: null } },
    { metadata: undefined, store: undefined, prompt_cache_key: undefined },
  ],
}

for (const [what, [asked, expected]] of Object.entries(WRITTEN)) {
  test(`Anthropic is sent ${what}`, async (t) => {
    const { upstream, answer } = await start(t)
    upstream.script = answerMessage(['Hello'])
    await answer(chatOf(asked))
    const { json, path, headers } = upstream.only
    assert.equal(path, '/v1/messages')
    assert.equal(headers['x-api-key'], KEY)
    assert.equal(headers['anthropic-version'], '2023-06-01')
    assert.equal(json.model, 'claude')
    const actual = Object.fromEntries(Object.keys(expected).map((name) => [name, json[name]]))
    assert.deepEqual(actual, expected)
  })
}

/** what is asked → the parameter that is named in the refusal */
const REFUSED: Record<string, [Question, string]> = {
  'several answers': [chatOf({ choices: 2 }), 'n'],
  'log-probabilities': [chatOf({ sampling: { logprobs: 0 } }), 'logprobs'],
  'a seed': [chatOf({ sampling: { seed: 0 } }), 'seed'],
  penalties: [chatOf({ sampling: { presencePenalty: 0.1 } }), 'presence_penalty'],
  biases: [chatOf({ sampling: { logitBias: { 1: 1 } } }), 'logit_bias'],
  'a temperature above 1': [chatOf({ sampling: { temperature: 1.5 } }), 'temperature'],
  'JSON without a schema': [chatOf({ responseFormat: { type: 'json_object' } }), 'response_format'],
  'an effort that it does not know': [chatOf({ reasoningEffort: 'minimal' }), 'reasoning_effort'],
  audio: [
    chatOf({
      messages: [{ role: 'user', content: [{ type: 'audio', data: 'UklG', format: 'wav' }] }],
    }),
    'messages[0].content',
  ],
  'a spreadsheet': [
    chatOf({
      messages: [
        {
          role: 'user',
          content: [
            {
              type: 'file',
              source: { kind: 'base64', mediaType: 'application/vnd.ms-excel', data: 'AAAA' },
            },
          ],
        },
      ],
    }),
    'messages[0].content',
  ],
  'names of participants': [
    chatOf({ messages: [{ role: 'user', name: 'bob', content: [text('Hi')] }] }),
    'messages[0].name',
  ],
  'arguments of a call that are no JSON': [
    chatOf({
      messages: [
        user('Hi'),
        {
          role: 'assistant',
          content: [],
          toolCalls: [{ id: 'a', name: 'weather', arguments: '{"city":' }],
        },
      ],
    }),
    'messages[1].tool_calls[0].function.arguments',
  ],
  'what another dialect says': [chatOf({ extra: { verbosity: 'low' } }), 'verbosity'],
  'texts to be continued': [completionOf(), 'prompt'],
}

for (const [what, [question, param]] of Object.entries(REFUSED)) {
  test(`Anthropic is not asked for ${what}: the client is told which parameter it is`, async (t) => {
    const { upstream, failure } = await start(t)
    const error = await failure(question)
    assert.equal(error.param, param)
    assert.equal(error.kind.status, 400)
    assert(error.message.length > 20)
    assert.equal(upstream.requests.length, 0)
  })
}

test('a count is asked for with what becomes the prompt and nothing else', async (t) => {
  const { upstream, backend, asking } = await start(t)
  upstream.script = (exchange) => exchange.json(200, { input_tokens: 17 })
  const chat = chatOf({
    maxTokens: 5,
    stop: ['END'],
    sampling: { temperature: 0.1 },
    tools: [WEATHER],
    dialect: 'anthropic',
    extra: { thinking: { type: 'enabled', budget_tokens: 1024 }, service_tier: 'auto' },
  })
  assert.equal(await backend.countTokens(chat, asking()), 17)
  const { path, json } = upstream.only
  assert.equal(path, '/v1/messages/count_tokens')
  assert.deepEqual(Object.keys(json).sort(), ['messages', 'model', 'thinking', 'tools'])
})
