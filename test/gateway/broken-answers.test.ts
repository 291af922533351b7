// Answers that break off: a cut stream never looks like a whole one.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import OpenAI from 'openai'

import { CHAT, startGateway } from '../support/gateway.ts'
import { delta, failure, started } from '../support/scripted-runtime.ts'
import type { Script } from '../support/scripted-runtime.ts'

const loseEngine: Script = async function* () {
  yield started()
  yield delta('One')
  yield delta(' two')
  throw failure('engine_lost', 'The engine of guide@2 ended with signal 9 in /data/models.')
}

test('an engine that is lost in the middle of a stream is an error frame and no [DONE]', async (t) => {
  const { post, runtime, log } = await startGateway(t)
  runtime.script = loseEngine
  const response = await post('/v1/chat/completions', { ...CHAT, stream: true })
  const body = await response.text()

  assert.equal(response.status, 200)
  assert.doesNotMatch(body, /\[DONE\]|finish_reason":"|data\/models/)
  const last = body.trimEnd().split('\n\n').at(-1) ?? ''
  const { error } = JSON.parse(last.slice('data: '.length)) as { error: Record<string, unknown> }
  assert.equal(error['code'], 'engine_lost')
  assert.equal(error['type'], 'server_error')

  const record = await log.onlyRecord()
  assert.equal(record.outcome, 'failed')
  assert.equal(record.status, 200)
  assert.equal(record.errorCode, 'engine_lost')
  assert.match(record.errorMessage ?? '', /signal 9/)
  assert.deepEqual(record.answer, ['One two'])
  assert.equal(record.completionTokens, 2)
  // Of the prompt, the row has what the engine told before it was lost.
  assert.deepEqual(
    [record.promptTokens, record.cachedTokens, record.isUsageEstimated],
    [7, 2, false],
  )
})

test('the official client throws where a stream breaks, after what it had got', async (t) => {
  const { client, runtime } = await startGateway(t)
  runtime.script = loseEngine
  const stream = await client.chat.completions.create({ ...CHAT, stream: true })
  let text = ''
  await assert.rejects(
    async () => {
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''
    },
    (error) => error instanceof OpenAI.APIError && error.code === 'engine_lost',
  )
  assert.equal(text, 'One two')
})

test('an answer that breaks off before it was shown is a status', async (t) => {
  const { client, runtime, log } = await startGateway(t)
  runtime.script = loseEngine
  await assert.rejects(client.chat.completions.create(CHAT), (error) => {
    assert.ok(error instanceof OpenAI.InternalServerError)
    assert.equal(error.status, 502)
    return true
  })
  const record = await log.onlyRecord()
  assert.deepEqual([record.outcome, record.status], ['failed', 502])
  // What was produced is still accounted for.
  assert.equal(record.completionTokens, 2)
})

test('a runtime that just stops is not taken for one that is done', async (t) => {
  const { post, runtime, log } = await startGateway(t)
  runtime.script = async function* () {
    yield started()
    yield delta('One')
  }
  const response = await post('/v1/chat/completions', { ...CHAT, stream: true })
  const body = await response.text()
  assert.doesNotMatch(body, /\[DONE\]/)
  assert.match(body, /"code":"internal_error"/)
  assert.equal((await log.onlyRecord()).outcome, 'failed')
  assert.equal((await post('/v1/chat/completions', CHAT)).status, 500)
})

test('a log that throws does not take the gateway down', async (t) => {
  const exchangeLog = {
    hasRoom: true,
    append() {
      throw new Error('full')
    },
  }
  const { client } = await startGateway(t, { deps: { exchangeLog } })
  await client.chat.completions.create(CHAT)
  await client.chat.completions.create(CHAT)
})
