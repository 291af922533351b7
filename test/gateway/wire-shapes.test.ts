// Every kind of answer against OpenAI's own OpenAPI document, where a copy of it lies beside the repository.

import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'

import { createParser } from 'eventsource-parser'

import { openaiShapes, skipWithoutDocument } from '../support/openai-document.ts'
import { CHAT, KEY, MODEL, startGateway } from '../support/gateway.ts'
import { WORDS } from '../support/scripted-runtime.ts'

describe("the shapes of OpenAI's document", { skip: skipWithoutDocument }, () => {
  let check: (schema: string, body: unknown) => void

  before(() => {
    check = openaiShapes()
  })

  for (const [path, body, schema] of [
    ['/v1/chat/completions', CHAT, 'CreateChatCompletionResponse'],
    [
      '/v1/chat/completions',
      { ...CHAT, n: 2, logprobs: true, top_logprobs: 2 },
      'CreateChatCompletionResponse',
    ],
    ['/v1/completions', { model: MODEL, prompt: 'x' }, 'CreateCompletionResponse'],
    [
      '/v1/completions',
      { model: MODEL, prompt: ['x', 'y'], logprobs: 2 },
      'CreateCompletionResponse',
    ],
  ] as const) {
    test(`${path} answers ${JSON.stringify(body)} as ${schema}`, async (t) => {
      const { post } = await startGateway(t)
      check(schema, await (await post(path, body)).json())
    })
  }

  for (const [path, body, schema] of [
    ['/v1/chat/completions', CHAT, 'CreateChatCompletionStreamResponse'],
    [
      '/v1/chat/completions',
      { ...CHAT, logprobs: true, stream_options: { include_usage: true } },
      'CreateChatCompletionStreamResponse',
    ],
    [
      '/v1/completions',
      { model: MODEL, prompt: 'x', logprobs: 1, stream_options: { include_usage: true } },
      'CreateCompletionResponse',
    ],
  ] as const) {
    test(`${path} streams ${JSON.stringify(body)} in frames as documented`, async (t) => {
      const { post } = await startGateway(t)
      const response = await post(path, { ...body, stream: true })
      const frames: string[] = []
      createParser({ onEvent: ({ data }) => frames.push(data) }).feed(await response.text())
      assert.equal(frames.pop(), '[DONE]')
      assert.ok(frames.length > WORDS.length)
      for (const frame of frames) {
        const chunk = JSON.parse(frame) as Frame
        if (schema === 'CreateCompletionResponse') fillWhatOnlyTheLastHas(chunk)
        check(schema, chunk)
      }
    })
  }

  test('models and errors are as documented', async (t) => {
    const { url, post } = await startGateway(t)
    const headers = { authorization: `Bearer ${KEY}` }
    check('ListModelsResponse', await (await fetch(`${url}/v1/models`, { headers })).json())
    check('Model', await (await fetch(`${url}/v1/models/guide@1`, { headers })).json())
    check('ErrorResponse', await (await post('/v1/chat/completions', {})).json())
    check('ErrorResponse', await (await fetch(`${url}/nowhere`)).json())
  })

  test('the check can fail', () => {
    assert.throws(() => check('Model', { id: 'x', object: 'modell', created: 1, owned_by: 'y' }))
  })
})

interface Frame {
  choices: { finish_reason: unknown }[]
  usage?: unknown
}

/** The document has one shape for frames and whole completions, where reason and usage are never null. */
function fillWhatOnlyTheLastHas(frame: Frame) {
  for (const choice of frame.choices) choice.finish_reason ??= 'stop'
  if (frame.usage === null) delete frame.usage
}
