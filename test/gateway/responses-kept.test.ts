// Responses that are kept: continued, read, deleted, by whom they belong to, on a real PostgreSQL.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import type OpenAI from 'openai'

import { ADMIN } from '../../gateway/callers/caller.ts'
import { ADMIN_KEY, collect, MODEL } from '../support/gateway.ts'
import { DAY_MS, startKeeping, startOn } from '../support/kept-responses.ts'
import { usePostgres } from '../support/postgres.ts'
import { saying, thinkingAndCalling } from '../support/scripted-backend.ts'

const postgres = usePostgres()

const ASKED = { model: MODEL, input: 'My name is Ada.' }

test('a response is continued at once, on another server, streamed or not', async (t) => {
  const { client, db } = await startKeeping(t, postgres)
  const other = await startOn(t, db)
  const first = await client.responses.create({ ...ASKED, instructions: 'Be short.' })

  const events = await other.client.responses.create({
    model: MODEL,
    input: 'What is it?',
    previous_response_id: first.id,
    instructions: 'Be long.',
    stream: true,
  })
  let last = ''
  for await (const event of events) {
    if (event.type !== 'response.completed') continue
    last = event.response.id
    assert.equal(event.response.previous_response_id, first.id)
    // Before the stream has ended, and on the first server.
    await client.responses.create({ model: MODEL, input: 'Sure?', previous_response_id: last })
  }
  assert.deepEqual(other.backend.lastChat.messages, [
    { role: 'system', content: [{ type: 'text', text: 'Be long.' }] },
    { role: 'user', content: [{ type: 'text', text: 'My name is Ada.' }] },
    { role: 'assistant', content: [{ type: 'text', text: 'Hello' }], toolCalls: [] },
    { role: 'user', content: [{ type: 'text', text: 'What is it?' }] },
  ])
  assert.notEqual(last, '')
})

test('tools go round: calls are answered with their outputs, and the thoughts go back with them', async (t) => {
  const { client, backend } = await startKeeping(t, postgres)
  backend.script = thinkingAndCalling
  const tools = [
    { type: 'function' as const, name: 'weather', parameters: { type: 'object' }, strict: null },
  ]
  const first = await client.responses.create({ ...ASKED, tools })
  backend.script = () => saying('Sun and snow.')
  const outputs = first.output.flatMap((item) =>
    item.type === 'function_call'
      ? [{ type: 'function_call_output' as const, call_id: item.call_id, output: item.name }]
      : [],
  )
  const second = await client.responses.create({
    model: MODEL,
    tools,
    previous_response_id: first.id,
    input: outputs,
  })
  assert.equal(second.output_text, 'Sun and snow.')
  const { messages } = backend.lastChat
  assert.deepEqual(messages.slice(1), [
    {
      role: 'assistant',
      content: [{ type: 'text', text: 'Let me look.' }],
      toolCalls: [
        { id: 'call_a', name: 'weather', arguments: '{"city":"Rome"}' },
        { id: 'call_b', name: 'weather', arguments: '{"city":"Oslo"}' },
      ],
      reasoning: [{ text: 'Two cities: two calls.', signature: 'proof' }],
    },
    { role: 'tool', toolCallId: 'call_a', content: [{ type: 'text', text: 'weather' }] },
    { role: 'tool', toolCallId: 'call_b', content: [{ type: 'text', text: 'weather' }] },
  ])
  await assert.rejects(
    client.responses.create({ model: MODEL, previous_response_id: first.id, input: 'And?' }),
    { status: 400, message: /no output for the function call with the call_id 'call_a'/ },
  )
})

test('a whole conversation may be given back as it came, kept or not', async (t) => {
  const { client, backend } = await startKeeping(t, postgres)
  backend.script = thinkingAndCalling
  const first = await client.responses.create({ ...ASKED, store: false })
  const item = first.output.find(({ type }) => type === 'reasoning')
  const input = [
    { role: 'user' as const, content: 'My name is Ada.' },
    ...(first.output as OpenAI.Responses.ResponseInputItem[]),
    { type: 'function_call_output' as const, call_id: 'call_a', output: 'sun' },
    { type: 'function_call_output' as const, call_id: 'call_b', output: 'snow' },
  ]
  await client.responses.create({ model: MODEL, input, store: false })
  assert.equal(backend.lastChat.messages.length, 4)
  // It was not kept: to name it is not enough.
  await assert.rejects(
    client.responses.create({
      model: MODEL,
      input: [{ type: 'item_reference', id: item!.id! }, ...input],
    }),
    { status: 404, code: 'item_not_found', param: 'input[0]' },
  )
})

test('items that are kept may be named instead of sent', async (t) => {
  const { client, backend } = await startKeeping(t, postgres)
  const first = await client.responses.create(ASKED)
  const asked = await client.responses.inputItems.list(first.id)
  await client.responses.create({
    model: MODEL,
    input: [
      { type: 'item_reference', id: asked.data[0]!.id },
      { type: 'item_reference', id: first.output[0]!.id! },
      { role: 'user', content: 'What is it?' },
    ],
  })
  assert.deepEqual(
    backend.lastChat.messages.map(({ role }) => role),
    ['user', 'assistant', 'user'],
  )
})

test('what earlier responses said is not sent again beside them', async (t) => {
  const { client } = await startKeeping(t, postgres)
  const first = await client.responses.create(ASKED)
  const again = first.output as OpenAI.Responses.ResponseInputItem[]
  await assert.rejects(
    client.responses.create({ model: MODEL, input: again, previous_response_id: first.id }),
    { status: 400, message: /is in the conversation already/, param: 'input[0]' },
  )
})

test('a response is read as it was told, and gone when it is deleted', async (t) => {
  const { client, backend } = await startKeeping(t, postgres)
  backend.script = () => saying('NUL \u0000 and half a pair \ud83e')
  const told = await client.responses.create(ASKED)
  const read = await client.responses.retrieve(told.id)
  assert.deepEqual(
    JSON.parse(JSON.stringify({ ...read, _request_id: '' })),
    JSON.parse(JSON.stringify({ ...told, _request_id: '' })),
  )
  await client.responses.delete(told.id)
  const gone = { status: 404, code: 'response_not_found' }
  await assert.rejects(client.responses.retrieve(told.id), gone)
  await assert.rejects(client.responses.delete(told.id), gone)
  await assert.rejects(client.responses.retrieve('resp_nonsense'), gone)
  await assert.rejects(client.responses.inputItems.list(told.id), gone)
})

test('a conversation whose beginning was deleted is not continued without it', async (t) => {
  const { client } = await startKeeping(t, postgres)
  const first = await client.responses.create(ASKED)
  const second = await client.responses.create({ ...ASKED, previous_response_id: first.id })
  await client.responses.delete(first.id)
  for (const previous_response_id of [first.id, second.id]) {
    await assert.rejects(client.responses.create({ ...ASKED, previous_response_id }), {
      status: 400,
      code: 'previous_response_not_found',
      param: 'previous_response_id',
      message: new RegExp(first.id),
    })
  }
})

test("another owner's response is not there, and a project's callers share theirs", async (t) => {
  const { client, keys, clientOf } = await startKeeping(t, postgres)
  const project = { id: 'p1', name: 'one', limits: {} }
  for (const [key, caller] of Object.entries({
    hr_other: { ...ADMIN, id: 'caller-2', role: 'caller' as const },
    hr_ann: { ...ADMIN, id: 'caller-3', role: 'caller' as const, project },
    hr_bob: { ...ADMIN, id: 'caller-4', role: 'caller' as const, project },
  })) {
    keys.add(key, caller)
  }
  const mine = await client.responses.create(ASKED)
  for (const key of ['hr_other', 'hr_ann', ADMIN_KEY]) {
    const stranger = clientOf(key)
    await assert.rejects(stranger.responses.retrieve(mine.id), { status: 404 })
    await assert.rejects(stranger.responses.inputItems.list(mine.id), { status: 404 })
    await assert.rejects(stranger.responses.delete(mine.id), { status: 404 })
    await assert.rejects(stranger.responses.create({ ...ASKED, previous_response_id: mine.id }), {
      code: 'previous_response_not_found',
    })
    await assert.rejects(
      stranger.responses.create({
        model: MODEL,
        input: [{ type: 'item_reference', id: mine.output[0]!.id! }],
      }),
      { code: 'item_not_found' },
    )
  }
  const anns = await clientOf('hr_ann').responses.create(ASKED)
  assert.equal((await clientOf('hr_bob').responses.retrieve(anns.id)).id, anns.id)
})

test('input items are listed in pages, newest first', async (t) => {
  const { client } = await startKeeping(t, postgres)
  const input = Array.from({ length: 45 }, (_, index) => ({
    role: 'user' as const,
    content: `line ${index}`,
  }))
  const { id } = await client.responses.create({ model: MODEL, input })
  const textOf = (item: OpenAI.Responses.ResponseItem) =>
    item.type === 'message' && item.content[0]?.type === 'input_text' ? item.content[0].text : ''

  const page = await client.responses.inputItems.list(id)
  assert.equal(page.data.length, 20)
  assert.equal(textOf(page.data[0]!), 'line 44')
  const all = await collect(client.responses.inputItems.list(id, { order: 'asc', limit: 10 }))
  assert.deepEqual(
    all.map(textOf),
    input.map(({ content }) => content),
  )
  await assert.rejects(client.responses.inputItems.list(id, { limit: 101 }), {
    status: 400,
    param: 'limit',
  })
  await assert.rejects(client.responses.inputItems.list(id, { after: 'nobody' }), {
    status: 400,
    param: 'after',
  })
})

test('a response ends after its time; one that is continued lives on with its conversation', async (t) => {
  let nowMs = Date.now()
  const { client } = await startKeeping(t, postgres, { now: () => nowMs, ttlMs: 30 * DAY_MS })
  const lonely = await client.responses.create(ASKED)
  const first = await client.responses.create(ASKED)
  nowMs += 20 * DAY_MS
  const second = await client.responses.create({ ...ASKED, previous_response_id: first.id })
  nowMs += 20 * DAY_MS
  await assert.rejects(client.responses.retrieve(lonely.id), { status: 404 })
  await assert.rejects(client.responses.create({ ...ASKED, previous_response_id: lonely.id }), {
    code: 'previous_response_not_found',
  })
  await client.responses.create({ ...ASKED, previous_response_id: second.id })
})

test('a conversation without end is refused, and not read into memory', async (t) => {
  const { client, db } = await startKeeping(t, postgres)
  const first = await client.responses.create(ASKED)
  const second = await client.responses.create({ ...ASKED, previous_response_id: first.id })
  await db.query('UPDATE responses SET bytes = 5000000')
  await assert.rejects(client.responses.create({ ...ASKED, previous_response_id: second.id }), {
    status: 400,
    code: 'conversation_too_long',
    param: 'previous_response_id',
  })
})

test('what is not to be kept is not, by its own word or by the setting', async (t) => {
  const { client, db } = await startKeeping(t, postgres)
  const response = await client.responses.create({ ...ASKED, store: false })
  await assert.rejects(client.responses.retrieve(response.id), { status: 404 })

  const off = await startOn(t, db, { ttlMs: 0 })
  const other = await off.client.responses.create(ASKED)
  assert.ok('store' in other && other.store === false)
  const { rows } = await db.query('SELECT id FROM responses')
  assert.deepEqual(rows, [])
})

test('nothing is kept of an answer that broke off', async (t) => {
  const { client, backend, db } = await startKeeping(t, postgres)
  backend.script = function* () {
    yield { type: 'delta', choice: 0, text: 'Hel', tokens: 1 }
    throw new Error('lost')
  }
  await assert.rejects(client.responses.create(ASKED))
  await assert.rejects(client.responses.stream(ASKED).finalResponse())
  const { rows } = await db.query('SELECT id FROM responses')
  assert.deepEqual(rows, [])
})

test('to cancel is for responses in the background, which there are none of', async (t) => {
  const { client } = await startKeeping(t, postgres)
  const { id } = await client.responses.create(ASKED)
  await assert.rejects(client.responses.cancel(id), {
    status: 400,
    code: 'response_not_cancellable',
  })
  await assert.rejects(client.responses.cancel('resp_x'), { status: 404 })
  await assert.rejects(client.responses.retrieve(id, { stream: true }), {
    status: 400,
    param: 'stream',
  })
})
