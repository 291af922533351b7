// POST /v1/embeddings with the official client, over an upstream.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { refuseWith } from '../support/scripted-upstream.ts'
import {
  ASKED_MODEL,
  FAR_MODEL,
  routeTo,
  startUpstreamGateway,
  targetOf,
} from '../support/upstream-gateway.ts'
import type { Script } from '../support/scripted-upstream.ts'

const VECTOR = [0.5, -0.25, 1]
// oxlint-disable-next-line typescript/no-explicit-any -- bodies are what the test is about
const bodyOf = (response: Response) => response.json() as Promise<any>
const base64 = (vector: number[]) => Buffer.from(new Float32Array(vector).buffer).toString('base64')

/** As many vectors as inputs, the last first; in the encoding that is asked for, or else. */
const embed =
  (encode: (vector: number[]) => unknown = base64, usage: unknown = { prompt_tokens: 7 }): Script =>
  (x) => {
    const { input } = x.request.json
    const count = Array.isArray(input) && typeof input[0] !== 'number' ? input.length : 1
    const data = Array.from({ length: count }, (_, index) => ({
      object: 'embedding',
      index,
      embedding: encode(VECTOR.map((n) => n * (index + 1))),
    }))
    x.json(200, { object: 'list', data: data.toReversed(), model: 'x', usage })
  }

test('texts become vectors, in the order of the texts', async (t) => {
  const { client, upstream, log } = await startUpstreamGateway(t)
  upstream.script = embed()
  const answer = await client.embeddings.create({
    model: FAR_MODEL,
    input: ['a', 'b'],
    dimensions: 3,
  })
  assert.deepEqual(
    answer.data.map(({ embedding }) => embedding),
    [VECTOR, VECTOR.map((n) => n * 2)],
  )
  assert.equal(answer.model, FAR_MODEL)
  assert.deepEqual(answer.usage, { prompt_tokens: 7, total_tokens: 7 })
  const { json } = upstream.only
  assert.deepEqual(json, {
    model: ASKED_MODEL,
    input: ['a', 'b'],
    encoding_format: 'base64',
    dimensions: 3,
  })
  const record = await log.onlyRecord()
  assert.equal(record.promptTokens, 7)
  assert.equal(record.completionTokens, 0)
  assert.deepEqual(record.prompt, ['a', 'b'])
  // The vectors are nobody's to read, and large.
  assert.equal(record.answer, null)
})

for (const format of ['float', 'base64'] as const) {
  test(`the client gets ${format} when it asks for it, whatever the upstream sends`, async (t) => {
    const { post, upstream } = await startUpstreamGateway(t)
    for (const encode of [base64, (vector: number[]) => vector]) {
      upstream.next.push(embed(encode))
      const body = { model: FAR_MODEL, input: 'a', encoding_format: format }
      const answer = await bodyOf(await post('/v1/embeddings', body))
      assert.deepEqual(answer.data, [
        { object: 'embedding', index: 0, embedding: format === 'float' ? VECTOR : base64(VECTOR) },
      ])
    }
  })
}

test('token ids are inputs too', async (t) => {
  const { client, upstream } = await startUpstreamGateway(t)
  upstream.script = embed()
  for (const input of [
    [1, 2, 3],
    [[1, 2], [3]],
  ]) {
    await client.embeddings.create({ model: FAR_MODEL, input })
    assert.deepEqual(upstream.requests.at(-1)?.json.input, input)
  }
})

test('tokens that nobody counted are estimated', async (t) => {
  const { client, upstream, log } = await startUpstreamGateway(t)
  upstream.script = embed(base64, null)
  const answer = await client.embeddings.create({ model: FAR_MODEL, input: 'twelve chars' })
  assert.equal(answer.usage.prompt_tokens, 3)
  assert.equal((await log.onlyRecord()).isUsageEstimated, true)
})

for (const [name, script] of Object.entries<Script>({
  'fewer vectors than inputs': (x) => x.json(200, { data: [] }),
  'the same index twice': (x) =>
    x.json(200, { data: [0, 0].map((index) => ({ index, embedding: VECTOR })) }),
  'a vector of words': (x) => x.json(200, { data: [{ embedding: ['a'] }, { embedding: ['b'] }] }),
  'half a number': (x) => x.json(200, { data: [{ embedding: 'AAAA' }, { embedding: 'AAAA' }] }),
  nothing: (x) => x.json(200, null),
})) {
  test(`${name} is no answer`, async (t) => {
    const { post, upstream } = await startUpstreamGateway(t)
    upstream.script = script
    const response = await post('/v1/embeddings', { model: FAR_MODEL, input: ['a', 'b'] })
    assert.equal(response.status, 502)
    assert.equal((await bodyOf(response)).error.code, 'upstream_malformed')
  })
}

test('a fallback answers where the first can not', async (t) => {
  const { client, upstream, routes, target, log } = await startUpstreamGateway(t)
  const second = targetOf(target.backend, { version: 'second@there', asks: 'second' })
  routes.set(FAR_MODEL, routeTo([target], { fallbacks: [second], retries: 1 }))
  upstream.next.push(refuseWith(401), embed())
  await client.embeddings.create({ model: FAR_MODEL, input: 'a' })
  assert.deepEqual(
    upstream.requests.map(({ json }) => json.model),
    [ASKED_MODEL, 'second'],
  )
  const { attempts, version } = await log.onlyRecord()
  assert.equal(version, 'second@there')
  assert.deepEqual(
    attempts.map(({ error }) => error),
    ['upstream_auth', null],
  )
})

test('a model that makes none says so, and what is wrong with a body is named', async (t) => {
  const { post, routes } = await startUpstreamGateway(t)
  routes.set(
    'deaf',
    routeTo(
      [
        targetOf({
          answer: () => {
            throw new Error('never asked')
          },
        }),
      ],
      { model: 'deaf' },
    ),
  )
  for (const [body, status, param, code] of [
    [{ model: 'deaf', input: 'a' }, 400, 'model', 'unsupported_model'],
    [{ model: 'none', input: 'a' }, 404, 'model', 'model_not_found'],
    [{ model: FAR_MODEL }, 400, 'input', 'missing_required_parameter'],
    [{ model: FAR_MODEL, input: '' }, 400, 'input', 'invalid_value'],
    [{ model: FAR_MODEL, input: ['a', ''] }, 400, 'input', 'invalid_value'],
    [
      { model: FAR_MODEL, input: 'a', encoding_format: 'hex' },
      400,
      'encoding_format',
      'invalid_value',
    ],
    [{ model: FAR_MODEL, input: 'a', dimensions: 0 }, 400, 'dimensions', 'invalid_value'],
  ] as const) {
    const response = await post('/v1/embeddings', body)
    const { error } = await bodyOf(response)
    assert.deepEqual([response.status, error.param, error.code], [status, param, code])
  }
})
