// Every kind of response and event against OpenAI's own OpenAPI document, where a copy of it lies beside the repository.

import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'

import { createParser } from 'eventsource-parser'

import { KEY, MODEL, startGateway } from '../support/gateway.ts'
import { keepIn, responsesDatabase } from '../support/kept-responses.ts'
import { openaiShapes, skipWithoutDocument } from '../support/openai-document.ts'
import { usePostgres } from '../support/postgres.ts'
import { DONE, saying, ScriptedBackend, thinkingAndCalling } from '../support/scripted-backend.ts'
import type { AnswerScript } from '../support/scripted-backend.ts'
import type { CheckShape } from '../support/openai-document.ts'

const postgres = usePostgres()

const SAID = {
  model: MODEL,
  instructions: 'Be short.',
  metadata: { project: 'x' },
  temperature: 0.5,
  top_p: 0.9,
  max_output_tokens: 100,
  store: false,
  safety_identifier: 'someone',
  prompt_cache_key: 'k',
  user: 'someone',
  reasoning: { effort: 'high', summary: 'auto' },
  text: { format: { type: 'json_schema', name: 'x', schema: { type: 'object' } } },
  tools: [{ type: 'function', name: 'weather', description: 'Of a city', parameters: {} }],
  tool_choice: { type: 'function', name: 'weather' },
  input: [{ role: 'user', content: [{ type: 'input_text', text: 'Hi' }] }],
}
const PLAIN = { model: MODEL, input: 'Hi', store: false }

const logprobs = [{ token: 'Hi', bytes: [72, 105], logprob: -0.5, top: [] }]

const SCRIPTS: Record<string, AnswerScript> = {
  text: () => saying('Hello', ' there'),
  'thoughts and calls': thinkingAndCalling,
  'log-probabilities': function* () {
    yield { type: 'delta', choice: 0, text: 'Hi', tokens: 1, logprobs }
    yield* saying('!')
  },
  'a refusal after a word': function* () {
    yield { type: 'delta', choice: 0, text: 'No: ', tokens: 1 }
    yield { type: 'refusal', choice: 0, text: 'I will not.' }
    yield { type: 'finished', choice: 0, finishReason: 'stop' }
    yield DONE
  },
  'a call that is cut': function* () {
    yield { type: 'toolCall', choice: 0, index: 0, id: 'call_a', name: 'weather' }
    yield { type: 'toolArguments', choice: 0, index: 0, text: '{"ci' }
    yield { type: 'finished', choice: 0, finishReason: 'length' }
    yield DONE
  },
  'what a filter ended': function* () {
    yield { type: 'delta', choice: 0, text: 'Once', tokens: 1 }
    yield { type: 'finished', choice: 0, finishReason: 'content_filter' }
    yield DONE
  },
  'an answer that breaks off': function* () {
    yield { type: 'reasoning', choice: 0, text: 'Hm' }
    yield { type: 'delta', choice: 0, text: 'Hel', tokens: 1 }
    throw new Error('lost')
  },
}

describe("the shapes of OpenAI's document", { skip: skipWithoutDocument }, () => {
  let check: CheckShape

  before(() => {
    check = openaiShapes()
  })

  for (const [name, script] of Object.entries(SCRIPTS)) {
    for (const body of [PLAIN, SAID]) {
      const asked = body === PLAIN ? 'asked plainly' : 'with all settings'
      test(`${name}, ${asked}: the response and its events are as documented`, async (t) => {
        const backend = new ScriptedBackend()
        backend.script = script
        const { post } = await startGateway(t, { deps: { routes: backend.routes() } })
        const whole = await post('/v1/responses', body)
        if (whole.ok) check('Response', await whole.json())
        else assert.equal(name, 'an answer that breaks off')

        const response = await post('/v1/responses', { ...body, stream: true })
        const events: { type: string }[] = []
        createParser({
          onEvent: ({ data, event }) => {
            const parsed = JSON.parse(data) as { type: string }
            assert.equal(event, parsed.type)
            events.push(parsed)
          },
        }).feed(await response.text())
        assert.ok(events.length > 5)
        for (const event of events) {
          check('ResponseStreamEvent', event)
          // The event of the very name, and not just any of them.
          check(schemaOf(event.type), event)
        }
      })
    }
  }

  test('a response that is read, its items and its deletion are as documented', async (t) => {
    const db = await responsesDatabase(t, postgres)
    const { post, url } = await startGateway(t, { deps: { responses: keepIn(db) } })
    const input = [
      { role: 'developer', content: 'Be short.' },
      {
        role: 'user',
        content: [{ type: 'input_text', text: 'Hi' }],
      },
      { role: 'assistant', content: 'Hello' },
      { type: 'reasoning', id: 'rs_1', summary: [{ type: 'summary_text', text: 'Hm' }] },
      { role: 'assistant', content: [{ type: 'output_text', text: 'So', annotations: [] }] },
      { role: 'user', content: 'And?' },
    ]
    const { id } = (await (await post('/v1/responses', { model: MODEL, input })).json()) as {
      id: string
    }
    const headers = { authorization: `Bearer ${KEY}` }
    check('Response', await (await fetch(`${url}/v1/responses/${id}`, { headers })).json())
    const items = await fetch(`${url}/v1/responses/${id}/input_items`, { headers })
    check('ResponseItemList', await items.json())
    const gone = await fetch(`${url}/v1/responses/${id}`, { headers, method: 'DELETE' })
    assert.deepEqual(await gone.json(), { id, object: 'response', deleted: true })
    const error = await fetch(`${url}/v1/responses/${id}`, { headers })
    check('ErrorResponse', await error.json())
  })
})

/** response.output_text.delta → ResponseTextDeltaEvent */
function schemaOf(type: string): string {
  if (type === 'error') return 'ResponseErrorEvent'
  const words = type
    .replace(/^response\./, '')
    .replace('output_text.', 'text.')
    .split(/[._]/)
  return `Response${words.map((word) => word[0]!.toUpperCase() + word.slice(1)).join('')}Event`
}
