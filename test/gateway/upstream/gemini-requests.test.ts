// What Gemini's API is asked, and what it can't be.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { GeminiUpstream } from '../../../gateway/backends/upstream/gemini.ts'
import { answerContent } from '../../support/gemini-wire.ts'
import { startAsking } from './asking.ts'
import { chatOf, completionOf, KEY } from './openai-questions.ts'
import type { Chat, Question } from '../../../gateway/backends/backend.ts'
import type { Message, Tool } from '../../../gateway/backends/conversation.ts'

const start = (t: TestContext, model = 'gemini-2.5-flash') =>
  startAsking(t, model, (url) => new GeminiUpstream({ baseUrl: `${url}/v1beta`, apiKey: KEY }))

const text = (words: string) => ({ type: 'text' as const, text: words })
const user = (words: string): Message => ({ role: 'user', content: [text(words)] })
const PARAMETERS = { type: 'object', properties: { city: { type: 'string' } } }
const WEATHER: Tool = { name: 'weather', description: 'Tells.', parameters: PARAMETERS }
const SCHEMA = { type: 'object', properties: { a: { type: 'integer' } } }

/** what is asked in our words → what the body has */
const WRITTEN: Record<string, [Partial<Chat>, Record<string, unknown>]> = {
  'instructions apart, in order': [
    {
      messages: [
        { role: 'system', content: [text('Be brief.')] },
        user('Hi'),
        { role: 'developer', content: [text('Be kind.')] },
      ],
    },
    {
      systemInstruction: { parts: [{ text: 'Be brief.' }, { text: 'Be kind.' }] },
      contents: [{ role: 'user', parts: [{ text: 'Hi' }] }],
      generationConfig: undefined,
    },
  ],
  'images, audio and documents within, files by address': [
    {
      messages: [
        {
          role: 'user',
          content: [
            { type: 'image', source: { kind: 'base64', mediaType: 'image/png', data: 'iVBO' } },
            { type: 'image', source: { kind: 'url', url: 'https://example.com/a.JPG?b=1' } },
            { type: 'audio', data: 'UklG', format: 'wav' },
            {
              type: 'file',
              source: { kind: 'base64', mediaType: 'application/pdf', data: 'JVBE' },
            },
            { type: 'file', source: { kind: 'id', id: 'files/abc' } },
          ],
        },
      ],
    },
    {
      contents: [
        {
          role: 'user',
          parts: [
            { inlineData: { mimeType: 'image/png', data: 'iVBO' } },
            { fileData: { mimeType: 'image/jpeg', fileUri: 'https://example.com/a.JPG?b=1' } },
            { inlineData: { mimeType: 'audio/wav', data: 'UklG' } },
            { inlineData: { mimeType: 'application/pdf', data: 'JVBE' } },
            { fileData: { fileUri: 'files/abc' } },
          ],
        },
      ],
    },
  ],
  'results of tools by the tools’ names, in one turn': [
    {
      messages: [
        user('Paris and Rome?'),
        {
          role: 'assistant',
          content: [],
          toolCalls: [
            { id: 'call_1_sig_c2lnbg', name: 'weather', arguments: '{"city":"Paris"}' },
            { id: 'call_2', name: 'weather', arguments: '' },
          ],
        },
        { role: 'tool', toolCallId: 'call_1_sig_c2lnbg', content: [text('rain')] },
        { role: 'tool', toolCallId: 'call_2', content: [text('no city')], isError: true },
      ],
      tools: [WEATHER],
      toolChoice: { name: 'weather' },
    },
    {
      contents: [
        { role: 'user', parts: [{ text: 'Paris and Rome?' }] },
        {
          role: 'model',
          parts: [
            {
              functionCall: { name: 'weather', args: { city: 'Paris' } },
              thoughtSignature: 'c2lnbg==',
            },
            { functionCall: { name: 'weather', args: {} } },
          ],
        },
        {
          role: 'user',
          parts: [
            { functionResponse: { name: 'weather', response: { output: 'rain' } } },
            { functionResponse: { name: 'weather', response: { error: 'no city' } } },
          ],
        },
      ],
      tools: [
        {
          functionDeclarations: [
            { name: 'weather', description: 'Tells.', parametersJsonSchema: PARAMETERS },
          ],
        },
      ],
      toolConfig: { functionCallingConfig: { mode: 'ANY', allowedFunctionNames: ['weather'] } },
    },
  ],
  'any tool': [
    { tools: [WEATHER], toolChoice: 'required' },
    { toolConfig: { functionCallingConfig: { mode: 'ANY' } } },
  ],
  'no tool': [
    { tools: [WEATHER], toolChoice: 'none' },
    { toolConfig: { functionCallingConfig: { mode: 'NONE' } } },
  ],
  'how to generate': [
    {
      choices: 2,
      maxTokens: 50,
      stop: ['END'],
      sampling: {
        temperature: 2,
        topP: 0.9,
        topK: 40,
        seed: 7,
        presencePenalty: 0.5,
        frequencyPenalty: -0.5,
      },
    },
    {
      generationConfig: {
        candidateCount: 2,
        maxOutputTokens: 50,
        stopSequences: ['END'],
        temperature: 2,
        topP: 0.9,
        topK: 40,
        seed: 7,
        presencePenalty: 0.5,
        frequencyPenalty: -0.5,
      },
    },
  ],
  'JSON of a schema': [
    { responseFormat: { type: 'json_schema', name: 'a', schema: SCHEMA } },
    { generationConfig: { responseMimeType: 'application/json', responseJsonSchema: SCHEMA } },
  ],
  'any JSON': [
    { responseFormat: { type: 'json_object' } },
    { generationConfig: { responseMimeType: 'application/json' } },
  ],
  'how much to think, in tokens': [
    { reasoningEffort: 'medium' },
    { generationConfig: { thinkingConfig: { thinkingBudget: 8192, includeThoughts: true } } },
  ],
  'that it must not think': [
    { reasoningEffort: 'none' },
    { generationConfig: { thinkingConfig: { thinkingBudget: 0 } } },
  ],
}

for (const [what, [asked, expected]] of Object.entries(WRITTEN)) {
  test(`Gemini is sent ${what}`, async (t) => {
    const { upstream, ask } = await start(t)
    upstream.script = answerContent(['Hello'])
    await ask(chatOf(asked))
    const { json, path, headers } = upstream.only
    assert.equal(path, '/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse')
    assert.equal(headers['x-goog-api-key'], KEY)
    const actual = Object.fromEntries(Object.keys(expected).map((name) => [name, json[name]]))
    assert.deepEqual(actual, expected)
  })
}

test('a later generation is told in a word how much to think', async (t) => {
  const { upstream, answer, failure } = await start(t, 'gemini-3-flash-preview')
  upstream.script = answerContent(['Hello'])
  await answer(chatOf({ reasoningEffort: 'low' }))
  const { thinkingConfig } = upstream.only.json.generationConfig
  assert.deepEqual(thinkingConfig, { thinkingLevel: 'low', includeThoughts: true })
  assert.equal((await failure(chatOf({ reasoningEffort: 'none' }))).param, 'reasoning_effort')
})

test('what is not streamed is not asked for as a stream', async (t) => {
  const { upstream, answer } = await start(t, 'tunedModels/mine')
  upstream.script = answerContent(['Hello'])
  await answer(chatOf({ isStreamed: false }))
  assert.equal(upstream.only.path, '/v1beta/tunedModels/mine:generateContent')
})

/** what is asked → the parameter that is named in the refusal */
const REFUSED: Record<string, [Question, string]> = {
  'log-probabilities': [chatOf({ sampling: { logprobs: 2 } }), 'logprobs'],
  'a min_p': [chatOf({ sampling: { minP: 0.1 } }), 'min_p'],
  biases: [chatOf({ sampling: { logitBias: { 1: 1 } } }), 'logit_bias'],
  'a seed of 64 bits': [chatOf({ sampling: { seed: 2 ** 40 } }), 'seed'],
  'one call at a time': [
    chatOf({ tools: [WEATHER], parallelToolCalls: false }),
    'parallel_tool_calls',
  ],
  'names of participants': [
    chatOf({ messages: [{ role: 'user', name: 'bob', content: [text('Hi')] }] }),
    'messages[0].name',
  ],
  'files of another API': [
    chatOf({
      messages: [
        { role: 'user', content: [{ type: 'file', source: { kind: 'id', id: 'file-1' } }] },
      ],
    }),
    'messages[0].content',
  ],
  'results of calls that nobody made': [
    chatOf({ messages: [{ role: 'tool', toolCallId: 'x', content: [text('rain')] }] }),
    'messages[0].tool_call_id',
  ],
  'what another dialect says': [chatOf({ extra: { verbosity: 'low' } }), 'verbosity'],
  'texts to be continued': [completionOf(), 'prompt'],
}

for (const [what, [question, param]] of Object.entries(REFUSED)) {
  test(`Gemini is not asked for ${what}: the client is told which parameter it is`, async (t) => {
    const { upstream, failure } = await start(t)
    const error = await failure(question)
    assert.equal(error.param, param)
    assert.equal(error.kind.status, 400)
    assert.equal(upstream.requests.length, 0)
  })
}

test('a count is asked for with what becomes the prompt', async (t) => {
  const { upstream, backend, asking } = await start(t)
  upstream.script = (exchange) => exchange.json(200, { totalTokens: 17 })
  const chat = chatOf({ maxTokens: 5, tools: [WEATHER] })
  assert.equal(await backend.countTokens(chat, asking()), 17)
  const { path, json } = upstream.only
  assert.equal(path, '/v1beta/models/gemini-2.5-flash:countTokens')
  assert.deepEqual(Object.keys(json.generateContentRequest), ['model', 'contents', 'tools'])
  assert.equal(json.generateContentRequest.model, 'models/gemini-2.5-flash')
})

test('texts become vectors, in order, with tokens estimated', async (t) => {
  const { upstream, backend, asking } = await start(t, 'gemini-embedding-001')
  upstream.script = (exchange) =>
    exchange.json(200, { embeddings: [{ values: [0.5, 1] }, { values: [2, 3] }] })
  const inputs = ['eight ch', 'four'].map((each) => ({ kind: 'text' as const, text: each }))
  const embedded = await backend.embed({ id: '1', inputs, dimensions: 2, extra: {} }, asking())
  assert.deepEqual(embedded, {
    vectors: [Float32Array.of(0.5, 1), Float32Array.of(2, 3)],
    promptTokens: 3,
    isEstimated: true,
  })
  const { path, json } = upstream.only
  assert.equal(path, '/v1beta/models/gemini-embedding-001:batchEmbedContents')
  assert.deepEqual(json.requests[0], {
    model: 'models/gemini-embedding-001',
    content: { parts: [{ text: 'eight ch' }] },
    outputDimensionality: 2,
  })
})

test('more texts than the API takes at once become several requests', async (t) => {
  const { upstream, backend, asking } = await start(t)
  upstream.script = (x) => {
    const asked = x.request.json.requests as { content: { parts: { text: string }[] } }[]
    const embeddings = asked.map(({ content }) => ({ values: [Number(content.parts[0]?.text)] }))
    x.json(200, { embeddings })
  }
  const inputs = Array.from({ length: 230 }, (_, n) => ({ kind: 'text' as const, text: String(n) }))
  const { vectors } = await backend.embed({ id: '1', inputs, extra: {} }, asking())
  assert.deepEqual(
    vectors.map(([value]) => value),
    inputs.map((_, n) => n),
  )
  assert.equal(upstream.requests.length, 3)
})

test('fewer vectors than texts are no answer', async (t) => {
  const { upstream, backend, asking } = await start(t)
  upstream.script = (exchange) => exchange.json(200, { embeddings: [{ values: [1] }] })
  const inputs = ['a', 'b'].map((each) => ({ kind: 'text' as const, text: each }))
  await assert.rejects(backend.embed({ id: '1', inputs, extra: {} }, asking()), {
    code: 'upstream_malformed',
  })
  const ids = [{ kind: 'tokens' as const, ids: [1] }]
  await assert.rejects(backend.embed({ id: '1', inputs: ids, extra: {} }, asking()), {
    code: 'unsupported_parameter',
    param: 'input',
  })
})
