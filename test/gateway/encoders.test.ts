// Models that read texts, over HTTP: real engines, random weights, the official client where there is one.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { referenceHidden, referenceLogits } from '../support/encoder-reference.ts'
import { LABELS, startEncoderGateway } from '../support/encoder-gateway.ts'
import { openaiShapes, skipWithoutDocument } from '../support/openai-document.ts'
import { wordPieceTokens } from '../support/word-pieces.ts'

// oxlint-disable-next-line typescript/no-explicit-any -- bodies are what the test is about
const bodyOf = (response: Response) => response.json() as Promise<any>
const near = (a: number, b: number) => assert.ok(Math.abs(a - b) < 1e-4, `${a} is not ${b}`)

const VOCABULARY = wordPieceTokens()
/** Words of the small vocabulary, with the marks around them. */
function idsOf(text: string, pair?: string) {
  const id = (word: string) => VOCABULARY.indexOf(word)
  const first = ['[CLS]', ...text.split(' '), '[SEP]'].map(id)
  const second = pair === undefined ? [] : [...pair.split(' '), '[SEP]'].map(id)
  return {
    ids: [...first, ...second],
    segments: [...first.map(() => 0), ...second.map(() => 1)],
  }
}

function unit(values: ArrayLike<number>): number[] {
  const length = Math.sqrt(Array.from(values).reduce((sum, value) => sum + value * value, 0))
  return Array.from(values, (value) => value / length)
}

const logistic = (logit: number) => 1 / (1 + Math.exp(-logit))

test('texts become vectors, as a list of numbers, in base64, shorter, and from token ids', async (t) => {
  const { client, post, log, checkpoints } = await startEncoderGateway(t, 'vectors')
  const texts = ['the cat sat on the mat .', 'berlin', 'the cat sat on the mat .']
  const answer = await client.embeddings.create({ model: 'vectors', input: texts })
  const expected = texts.map((text) => {
    const hidden = referenceHidden(checkpoints.vectors!, idsOf(text))
    return unit(hidden[0]!.map((_, i) => hidden.reduce((sum, row) => sum + row[i]!, 0)))
  })
  for (const [index, { embedding }] of answer.data.entries()) {
    for (const [i, value] of embedding.entries()) near(value, expected[index]![i]!)
  }
  assert.deepEqual(answer.usage, { prompt_tokens: 9 + 3 + 9, total_tokens: 9 + 3 + 9 })

  const ask = async (more: object) =>
    (await bodyOf(await post('/v1/embeddings', { model: 'vectors', input: 'berlin', ...more })))
      .data[0].embedding
  const floats = await ask({})
  const base64 = Uint8Array.from(Buffer.from(await ask({ encoding_format: 'base64' }), 'base64'))
  assert.deepEqual([...new Float32Array(base64.buffer)], floats)
  assert.deepEqual(await ask({ input: [idsOf('berlin').ids] }), floats)
  const short: number[] = await ask({ dimensions: 10 })
  for (const [i, value] of unit(floats.slice(0, 10)).entries()) near(short[i]!, value)
  assert.equal(short.length, 10)

  const [record] = await log.first(5)
  assert.equal(record?.version, 'vectors@1')
  assert.deepEqual(record?.prompt, texts)
  assert.equal(record?.promptTokens, 21)
  assert.equal(record?.answer, null)
})

test('documents are put in the order in which they answer a query', async (t) => {
  const { post, log, checkpoints } = await startEncoderGateway(t, 'ranker')
  const query = 'what is the river bank'
  const texts = ['water', 'money money', 'the river is great', 'paris']
  const documents = [texts[0], { text: texts[1] }, texts[2], texts[3]]
  const ask = async (more: object) =>
    bodyOf(await post('/v1/rerank', { model: 'ranker', query, documents, ...more }))
  const answer = await ask({})
  const expected = texts
    .map((text, index) => {
      const [row] = referenceLogits(checkpoints.ranker!, idsOf(query, text))
      return { index, score: logistic(row![0]!) }
    })
    .sort((a, b) => b.score - a.score)
  assert.deepEqual(
    answer.results.map(({ index }: { index: number }) => index),
    expected.map(({ index }) => index),
  )
  for (const [place, { score }] of expected.entries()) {
    near(answer.results[place].relevance_score, score)
  }
  assert.ok(answer.usage.total_tokens > 4 * 7)
  assert.equal(answer.meta.tokens.input_tokens, answer.usage.prompt_tokens)
  const best = await ask({ top_n: 1, return_documents: true })
  assert.deepEqual(best.results, [
    { ...answer.results[0], document: { text: texts[expected[0]!.index] } },
  ])
  const [record] = await log.first(2)
  assert.deepEqual(record?.prompt, { query, documents })
  assert.deepEqual(JSON.parse(record?.answer?.[0] ?? ''), answer.results)
})

test('texts and pairs of texts are labelled', async (t) => {
  const { post, log, checkpoints } = await startEncoderGateway(t, 'moods')
  const input = ['the cat is great', { text: 'alice is good', text_pair: 'bob is bad' }]
  const answer = await bodyOf(await post('/v1/classify', { model: 'moods', input }))
  const logits = [idsOf('the cat is great'), idsOf('alice is good', 'bob is bad')].map(
    (text) => referenceLogits(checkpoints.moods!, text)[0]!,
  )
  for (const [index, row] of logits.entries()) {
    const total = row.reduce((sum, value) => sum + Math.exp(value), 0)
    const { labels, label } = answer.data[index]
    assert.equal(labels[0].label, label)
    assert.ok(labels[0].score >= labels[1].score && labels[1].score >= labels[2].score)
    for (const one of labels) near(one.score, Math.exp(row[LABELS.indexOf(one.label)]!) / total)
  }
  const one = await bodyOf(
    await post('/v1/classify', { model: 'moods', input: input[0], top_k: 1 }),
  )
  assert.deepEqual(one.data, [{ ...answer.data[0], labels: answer.data[0].labels.slice(0, 1) }])
  const [record] = await log.first(2)
  assert.deepEqual(JSON.parse(record?.answer?.[0] ?? ''), answer.data)
})

test('names of things are found, with where they are', async (t) => {
  const { post } = await startEncoderGateway(t, 'names')
  const input = 'Alice  lives in Berlin, Bob works for ACME.'
  const { data } = await bodyOf(await post('/v1/classify', { model: 'names', input }))
  assert.equal(data[0].object, 'entities')
  assert.ok(data[0].entities.length > 0, 'random weights, but of a seed that finds some')
  let last = 0
  for (const { word, start, end, score, label } of data[0].entities) {
    assert.equal(word, input.slice(start, end))
    assert.ok(start >= last && end > start)
    assert.ok(score > 0 && score <= 1)
    assert.match(label, /^(PER|LOC)$/)
    last = end
  }
})

test('what a model is not for is refused before anything is loaded, and says where to go', async (t) => {
  const { post, runtimeClient, log } = await startEncoderGateway(t, 'vectors', 'ranker')
  const chat = { model: 'vectors', messages: [{ role: 'user', content: 'hi' }] }
  for (const [path, body, words] of [
    ['/v1/chat/completions', chat, /'vectors' makes embeddings: POST \/v1\/embeddings/],
    ['/v1/rerank', { model: 'vectors', query: 'a', documents: ['b'] }, /POST \/v1\/embeddings/],
    ['/v1/classify', { model: 'ranker', input: 'a' }, /scores documents .* POST \/v1\/rerank/],
    ['/v1/embeddings', { model: 'ranker', input: 'a' }, /POST \/v1\/rerank/],
  ] as const) {
    const response = await post(path, body)
    const { error } = await bodyOf(response)
    assert.deepEqual(
      [response.status, error.code, error.param],
      [400, 'unsupported_model', 'model'],
    )
    assert.match(error.message, words)
  }
  assert.deepEqual((await runtimeClient.stats()).engines, [])
  for (const { outcome } of await log.first(4)) assert.equal(outcome, 'refused')
})

test('a text that is too long is refused by name, and cut only where the client says so', async (t) => {
  const { post } = await startEncoderGateway(t, 'vectors')
  const input = ['the cat', 'a dog '.repeat(40)]
  const response = await post('/v1/embeddings', { model: 'vectors', input })
  const { error } = await bodyOf(response)
  assert.deepEqual(
    [response.status, error.code, error.param],
    [400, 'context_length_exceeded', 'input'],
  )
  assert.match(error.message, /reads 48 tokens at once; input\[1\] has 82/)
  const cut = await bodyOf(
    await post('/v1/embeddings', { model: 'vectors', input, truncate: true }),
  )
  assert.equal(cut.usage.prompt_tokens, 4 + 48)
  for (const [more, code, param] of [
    [{ dimensions: 65 }, 'invalid_request', null],
    [{ truncate: 'END' }, 'invalid_type', 'truncate'],
    [{ colour: 'red' }, 'unknown_parameter', 'colour'],
  ] as const) {
    const refused = await post('/v1/embeddings', { model: 'vectors', input: 'a', ...more })
    const body = await bodyOf(refused)
    assert.deepEqual([refused.status, body.error.code, body.error.param], [400, code, param])
  }
})

test(
  'embeddings have the shape of the OpenAI document',
  { skip: skipWithoutDocument },
  async (t) => {
    const check = openaiShapes()
    const { post } = await startEncoderGateway(t, 'vectors')
    const response = await post('/v1/embeddings', { model: 'vectors', input: ['a', 'b'] })
    check('CreateEmbeddingResponse', await response.json())
  },
)
