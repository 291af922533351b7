// Text completions through the official client.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { LIVE, MODEL, collect, startGateway } from '../support/gateway.ts'
import { answerWith, WORDS } from '../support/scripted-runtime.ts'

test('a completion continues a text, with the default of 16 tokens', async (t) => {
  const { client, runtime } = await startGateway(t)
  const completion = await client.completions.create({ model: MODEL, prompt: 'Once', echo: true })
  assert.equal(completion.choices[0]?.text, WORDS.join(''))
  assert.equal(completion.system_fingerprint, LIVE)
  assert.equal(completion.usage?.total_tokens, 12)
  const request = runtime.requests[0]
  assert.deepEqual(request?.prompt, { kind: 'text', text: 'Once' })
  assert.equal(request?.maxTokens, 16)
  assert.equal(request?.echo, true)
})

test('a streamed completion gives pieces of text and the usage asked for', async (t) => {
  const { client } = await startGateway(t)
  const chunks = await collect(
    await client.completions.create({
      model: MODEL,
      prompt: 'Once',
      stream: true,
      stream_options: { include_usage: true },
    }),
  )
  assert.equal(chunks.map((chunk) => chunk.choices[0]?.text ?? '').join(''), WORDS.join(''))
  assert.equal(chunks.at(-2)?.choices[0]?.finish_reason, 'stop')
  assert.equal(chunks.at(-1)?.usage?.prompt_tokens, 7)
})

test('several prompts and several choices are numbered prompt by prompt', async (t) => {
  const { client, runtime, log } = await startGateway(t)
  runtime.script = (request) => {
    const { prompt, sampling } = request
    return answerWith([`${prompt.kind === 'text' ? prompt.text : ''}/${sampling.seed}`])
  }
  const { choices, usage } = await client.completions.create({
    model: MODEL,
    prompt: ['a', 'b'],
    n: 2,
    seed: 5,
    best_of: 2,
  })
  assert.deepEqual(
    choices.map(({ index, text }) => [index, text]),
    [
      [0, 'a/5'],
      [1, 'a/6'],
      [2, 'b/5'],
      [3, 'b/6'],
    ],
  )
  assert.equal(usage?.prompt_tokens, 14)
  assert.equal((await log.onlyRecord()).promptTokens, 14)
})

test('token ids are taken as they are', async (t) => {
  const { client, runtime } = await startGateway(t)
  await client.completions.create({ model: MODEL, prompt: [1, 2, 3] })
  await client.completions.create({ model: MODEL, prompt: [[4], [5, 6]] })
  assert.deepEqual(
    runtime.requests.map(({ prompt }) => prompt),
    [
      { kind: 'tokens', ids: [1, 2, 3] },
      { kind: 'tokens', ids: [4] },
      { kind: 'tokens', ids: [5, 6] },
    ],
  )
})

test('log-probabilities have the shape of the completions API, with offsets that go on', async (t) => {
  const { client } = await startGateway(t)
  const asked = { model: MODEL, prompt: 'x', logprobs: 1 }
  const { choices } = await client.completions.create(asked)
  const whole = choices[0]?.logprobs
  assert.deepEqual(whole?.tokens, WORDS)
  assert.deepEqual(whole?.text_offset, [0, 5, 11, 16, 20])
  assert.deepEqual(whole?.top_logprobs?.[0], { Hello: -0.25 })

  const chunks = await collect(await client.completions.create({ ...asked, stream: true }))
  const offsets = chunks.flatMap((chunk) => chunk.choices[0]?.logprobs?.text_offset ?? [])
  assert.deepEqual(offsets, whole?.text_offset)
})
