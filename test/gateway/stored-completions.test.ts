// OpenAI's stored completions, over the rows of the exchange log, by the official client.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import OpenAI from 'openai'

import { startLogged } from '../support/logged-gateway.ts'
import { openaiShapes, skipWithoutDocument } from '../support/openai-document.ts'
import { answerChat } from '../support/openai-wire.ts'
import { usePostgres } from '../support/postgres.ts'
import { collect, MODEL } from '../support/gateway.ts'
import { delta, started, stuck, WORDS } from '../support/scripted-runtime.ts'
import { FAR_MODEL, startUpstreamGateway } from '../support/upstream-gateway.ts'

const postgres = usePostgres()
const STORED = {
  model: MODEL,
  messages: [
    { role: 'system' as const, content: 'x'.repeat(300) },
    { role: 'user' as const, content: [{ type: 'text' as const, text: 'Hi' }] },
  ],
  store: true,
}
const isNotFound = (error: unknown) => {
  assert.ok(error instanceof OpenAI.APIError, String(error))
  return error.status === 404 && error.code === 'completion_not_found'
}

test('what is stored is found at once, with what it was asked and answered', async (t) => {
  const { makeKey, clientOf } = await startLogged(t, postgres, { log: { lingerMs: 300 } })
  const { completions } = clientOf((await makeKey({ name: 'app' })).key).chat
  const made = await completions.create({ ...STORED, metadata: { topic: 'greeting' } })
  const found = await completions.retrieve(made.id)
  assert.equal(found.id, made.id)
  assert.equal(found.model, made.model)
  assert.equal(found.created, made.created)
  assert.deepEqual(found.choices, made.choices)
  assert.deepEqual(found.usage, made.usage)
  assert.ok('metadata' in found)
  assert.deepEqual(found.metadata, { topic: 'greeting' })

  const messages = await collect(await completions.messages.list(made.id, { limit: 1 }))
  assert.deepEqual(
    messages.map(({ id, content, content_parts: parts }) => [id, content, parts]),
    [
      [`${made.id}-0`, 'x'.repeat(300), null],
      [`${made.id}-1`, null, [{ type: 'text', text: 'Hi' }]],
    ],
  )
})

test('a streamed completion is stored as it was read, and one that is not asked for is not', async (t) => {
  const { makeKey, clientOf } = await startLogged(t, postgres)
  const { completions } = clientOf((await makeKey({ name: 'app' })).key).chat
  const stream = await completions.create({ ...STORED, stream: true })
  const [first] = await collect(stream)
  const found = await completions.retrieve(first!.id)
  assert.equal(found.choices[0]?.message.content, WORDS.join(''))

  const { id } = await completions.create({ ...STORED, store: false })
  await assert.rejects(completions.retrieve(id), isNotFound)
  await assert.rejects(completions.retrieve('chatcmpl-nothing'), isNotFound)
  const all = await collect(await completions.list())
  assert.deepEqual(
    all.map((completion) => completion.id),
    [first!.id],
  )
})

test('lists are filtered by model and metadata, in both orders, page by page', async (t) => {
  const { makeKey, clientOf, exchangeLog } = await startLogged(t, postgres)
  const { completions } = clientOf((await makeKey({ name: 'app' })).key).chat
  const ids: string[] = []
  for (const [model, topic] of [
    ['guide', 'a'],
    ['guide@1', 'a'],
    ['guide', 'b'],
    ['guide', 'a'],
  ] as const) {
    const { id } = await completions.create({ ...STORED, model, metadata: { topic, x: 'y' } })
    ids.push(id)
  }
  await exchangeLog.flush()
  const listed = async (query: OpenAI.ChatCompletionListParams) =>
    (await collect(await completions.list(query))).map(({ id }) => ids.indexOf(id))

  assert.deepEqual(await listed({ limit: 1 }), [0, 1, 2, 3])
  assert.deepEqual(await listed({ limit: 3, order: 'desc' }), [3, 2, 1, 0])
  assert.deepEqual(await listed({ metadata: { topic: 'a' } }), [0, 1, 3])
  assert.deepEqual(await listed({ metadata: { topic: 'a', x: 'z' } }), [])
  assert.deepEqual(await listed({ model: 'guide@1' }), [1])
  assert.deepEqual(
    await listed({ model: 'guide', metadata: { topic: 'a' }, order: 'desc' }),
    [3, 1, 0],
  )
  const page = await completions.list({ limit: 2, after: ids[1] })
  assert.deepEqual([page.data.map(({ id }) => ids.indexOf(id)), page.has_more], [[2, 3], false])
})

test("metadata is replaced, and a deleted completion's texts are gone while its figures stay", async (t) => {
  const { makeKey, clientOf, pool, ask } = await startLogged(t, postgres)
  const { key, id: caller } = await makeKey({ name: 'app' })
  const { completions } = clientOf(key).chat
  const { id } = await completions.create({ ...STORED, metadata: { topic: 'a' } })
  const updated = await completions.update(id, { metadata: { state: 'read\0' } })
  assert.ok('metadata' in updated)
  assert.deepEqual(updated.metadata, { state: 'read\ufffd' })

  assert.deepEqual(await completions.delete(id), {
    object: 'chat.completion.deleted',
    id,
    deleted: true,
  })
  await assert.rejects(completions.retrieve(id), isNotFound)
  await assert.rejects(completions.delete(id), isNotFound)
  const { rows } = await pool.query(
    `SELECT caller_id, completion_tokens, (SELECT count(*)::int FROM exchange_bodies) AS bodies FROM exchanges`,
  )
  assert.deepEqual(rows, [{ caller_id: caller, completion_tokens: 5, bodies: 0 }])
  const { body } = await ask('GET', '/admin/audit?kind=exchange')
  const [entry] = body['data'] as {
    action: string
    actor: { id: string }
    target: { id: string }
  }[]
  assert.deepEqual(
    [entry?.action, entry?.actor.id, `chatcmpl-${entry?.target.id}`],
    ['exchange.delete_texts', caller, id],
  )
})

test("a project's callers share what they store, and nobody else sees it", async (t) => {
  const { ask, makeKey, clientOf, exchangeLog } = await startLogged(t, postgres)
  await ask('POST', '/admin/projects', { name: 'search' })
  const [one, other, stranger] = await Promise.all([
    makeKey({ name: 'one', project: 'search' }),
    makeKey({ name: 'other', project: 'search' }),
    makeKey({ name: 'stranger' }),
  ])
  const { id } = await clientOf(one.key).chat.completions.create(STORED)
  await exchangeLog.flush()
  const { completions } = clientOf(other.key).chat
  assert.equal((await completions.retrieve(id)).id, id)
  assert.equal((await completions.list()).data.length, 1)
  const strange = clientOf(stranger.key).chat.completions
  assert.equal((await strange.list()).data.length, 0)
  for (const attempt of [
    () => strange.messages.list(id),
    () => strange.update(id, { metadata: {} }),
    () => strange.delete(id),
  ]) {
    await assert.rejects(attempt(), isNotFound)
  }
  assert.equal((await completions.retrieve(id)).id, id)
})

test('an answer that its client left is not stored', async (t) => {
  const { makeKey, clientOf, runtime, exchangeLog, countRows } = await startLogged(t, postgres)
  const { completions } = clientOf((await makeKey({ name: 'app' })).key).chat
  runtime.script = async function* (_request, signal) {
    yield started()
    yield delta('One')
    await stuck(signal)
  }
  const stream = await completions.create({ ...STORED, stream: true })
  // Leaving the loop hangs up.
  for await (const _chunk of stream) break
  while ((await countRows()) === 0) await exchangeLog.flush()
  assert.deepEqual((await completions.list()).data, [])
})

test("that a completion is stored is no upstream's business, and that it is not is", async (t) => {
  const { upstream, client } = await startUpstreamGateway(t)
  upstream.script = answerChat(['Hi'])
  const ask = { ...STORED, model: FAR_MODEL, metadata: { topic: 'a' } }
  for (const store of [true, false, undefined]) {
    await client.chat.completions.create({ ...ask, store })
  }
  const told = upstream.requests.map(({ json }) => [json['store'], json['metadata']])
  assert.deepEqual(told, [
    [undefined, undefined],
    [false, { topic: 'a' }],
    [undefined, { topic: 'a' }],
  ])
})

describe("the shapes of OpenAI's document", { skip: skipWithoutDocument }, () => {
  test('stored completions have them', async (t) => {
    const check = openaiShapes()
    const { ask, makeKey, clientOf } = await startLogged(t, postgres)
    const { key } = await makeKey({ name: 'app' })
    const { id } = await clientOf(key).chat.completions.create(STORED)
    const path = '/v1/chat/completions'
    check('CreateChatCompletionResponse', (await ask('GET', `${path}/${id}`, undefined, key)).body)
    check('ChatCompletionList', (await ask('GET', path, undefined, key)).body)
    check('ChatCompletionList', (await ask('GET', `${path}?model=none`, undefined, key)).body)
    const { body } = await ask('GET', `${path}/${id}/messages`, undefined, key)
    // The document's own example has a user's message, which its schema does not allow.
    const data = (body['data'] as object[]).map((message) => ({ ...message, role: 'assistant' }))
    check('ChatCompletionMessageList', { ...body, data })
    check('ChatCompletionDeleted', (await ask('DELETE', `${path}/${id}`, undefined, key)).body)
  })
})
