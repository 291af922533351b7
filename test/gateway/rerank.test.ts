// POST /v1/rerank over an upstream, and what is wrong with bodies.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ASKED_MODEL, FAR_MODEL, startUpstreamGateway } from '../support/upstream-gateway.ts'
import type { Script } from '../support/scripted-upstream.ts'

// oxlint-disable-next-line typescript/no-explicit-any -- bodies are what the test is about
const bodyOf = (response: Response) => response.json() as Promise<any>

const results = (scores: number[], more: object = {}): Script => {
  const list = scores.map((relevance_score, index) => ({ index, relevance_score }))
  return (x) => x.json(200, { results: list.toReversed(), ...more })
}

test('documents are ranked by an upstream, and cut to the best here', async (t) => {
  const { post, upstream, log } = await startUpstreamGateway(t)
  upstream.script = results([0.1, 0.9, 0.5], { usage: { total_tokens: 11 } })
  const documents = ['a', { text: 'b' }, 'c']
  const body = { model: FAR_MODEL, query: 'q', documents, top_n: 2, return_documents: true }
  const response = await post('/v1/rerank', body)
  const answer = await bodyOf(response)
  assert.deepEqual(answer.results, [
    { index: 1, relevance_score: 0.9, document: { text: 'b' } },
    { index: 2, relevance_score: 0.5, document: { text: 'c' } },
  ])
  assert.deepEqual(answer.usage, { prompt_tokens: 11, total_tokens: 11 })
  assert.equal(answer.model, FAR_MODEL)
  assert.deepEqual(upstream.only.json, {
    model: ASKED_MODEL,
    query: 'q',
    documents: ['a', 'b', 'c'],
    return_documents: false,
  })
  const record = await log.onlyRecord()
  assert.equal(record.promptTokens, 11)
  assert.deepEqual(record.prompt, { query: 'q', documents })
})

test("Cohere's count of tokens is read, and where nobody counts they are estimated", async (t) => {
  const { post, upstream, log } = await startUpstreamGateway(t)
  const body = { model: FAR_MODEL, query: 'twelve', documents: [' chars'] }
  upstream.next.push(results([1], { meta: { tokens: { input_tokens: 5 } } }), results([1]))
  assert.equal((await bodyOf(await post('/v1/rerank', body))).usage.total_tokens, 5)
  assert.equal((await bodyOf(await post('/v1/rerank', body))).usage.total_tokens, 3)
  const [, second] = await log.first(2)
  assert.equal(second?.isUsageEstimated, true)
})

for (const [name, script] of Object.entries<Script>({
  'fewer results than documents': results([1]),
  'the same document twice': (x) =>
    x.json(200, { results: [0, 0].map((index) => ({ index, relevance_score: 1 })) }),
  'a score in words': (x) =>
    x.json(200, { results: [0, 1].map((index) => ({ index, relevance_score: 'high' })) }),
})) {
  test(`${name} is no answer`, async (t) => {
    const { post, upstream } = await startUpstreamGateway(t)
    upstream.script = script
    const body = { model: FAR_MODEL, query: 'q', documents: ['a', 'b'] }
    const response = await post('/v1/rerank', body)
    assert.equal(response.status, 502)
    assert.equal((await bodyOf(response)).error.code, 'upstream_malformed')
  })
}

test('what is wrong with a body is named', async (t) => {
  const { post } = await startUpstreamGateway(t)
  const whole = { model: FAR_MODEL, query: 'q', documents: ['a'] }
  for (const [path, body, param, code] of [
    ['/v1/rerank', { ...whole, query: undefined }, 'query', 'missing_required_parameter'],
    ['/v1/rerank', { ...whole, documents: [] }, 'documents', 'invalid_value'],
    ['/v1/rerank', { ...whole, documents: [{ title: 'a' }] }, 'documents[0]', 'invalid_value'],
    ['/v1/rerank', { ...whole, top_n: 0 }, 'top_n', 'invalid_value'],
    ['/v1/classify', { model: FAR_MODEL, input: 'a' }, 'model', 'unsupported_model'],
    ['/v1/classify', { model: FAR_MODEL, input: [] }, 'input', 'invalid_value'],
  ] as const) {
    const response = await post(path, body)
    const { error } = await bodyOf(response)
    assert.deepEqual([response.status, error.param, error.code], [400, param, code])
  }
})
