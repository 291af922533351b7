// One record for each request to an answering route, whatever became of it.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ADMIN_KEY, CHAT, KEY, LIVE, MODEL, startGateway } from '../support/gateway.ts'
import { WORDS } from '../support/scripted-runtime.ts'

test('a completed exchange says who asked what, what was answered, and how long it took', async (t) => {
  const { client, log } = await startGateway(t)
  const { response } = await client.chat.completions
    .create({ ...CHAT, temperature: 0, stream: true })
    .withResponse()
  await response.body?.cancel().catch(() => {})
  await client.chat.completions.create({ ...CHAT, temperature: 0 })

  const record = (await log.first(2))[1]
  assert.ok(record)
  const { startedAt, closedAt, id, totalMs, timeToFirstTokenMs, attempts, ...others } = record
  const { overheadMs, ...rest } = others
  assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7/)
  assert.ok(closedAt.getTime() >= startedAt.getTime())
  assert.ok(totalMs > 0)
  assert.ok(timeToFirstTokenMs !== null && timeToFirstTokenMs <= totalMs)
  assert.ok(overheadMs !== null && overheadMs <= timeToFirstTokenMs)
  assert.deepEqual(
    attempts.map(({ version, upstream, error }) => [version, upstream, error]),
    [[LIVE, 'local', null]],
  )
  assert.deepEqual(rest, {
    callerId: 'caller-1',
    callerName: 'tests',
    projectId: null,
    endUser: null,
    session: null,
    conversationId: null,
    previousId: null,
    digest: null,
    previousDigest: null,
    tags: null,
    metadata: null,
    method: 'POST',
    route: '/v1/chat/completions',
    requestedModel: MODEL,
    model: MODEL,
    version: LIVE,
    upstream: 'local',
    deployment: null,
    streamed: false,
    prompt: CHAT.messages,
    answer: [WORDS.join('')],
    toolCalls: null,
    parameters: { temperature: 0 },
    finishReasons: ['stop'],
    isDeclined: false,
    promptTokens: 7,
    cachedTokens: 2,
    completionTokens: 5,
    isUsageEstimated: false,
    costUsd: null,
    cache: null,
    queueMs: 3,
    prefillMs: 11,
    decodeMs: 29,
    interTokenMs: null,
    outcome: 'completed',
    status: 200,
    errorCode: null,
    errorMessage: null,
    isStored: false,
  })
})

test('an exchange says for whom it was, and what its caller says about it', async (t) => {
  const { post, log } = await startGateway(t)
  const headers = {
    'content-type': 'application/json',
    authorization: `Bearer ${KEY}`,
    'x-headrace-session': 'session-1',
    'x-headrace-tags': 'nightly, search,,',
  }
  const metadata = { user_id: 'metas', run: '7' }
  const body = JSON.stringify({ ...CHAT, user: 'ann', metadata })
  await (await post('/v1/chat/completions', body, { headers })).text()
  await (await post('/v1/chat/completions', JSON.stringify({ ...CHAT, metadata: { n: 7 } }))).text()
  const [first, second] = await log.first(2)
  assert.deepEqual(
    [first?.endUser, first?.session, first?.tags, first?.metadata],
    ['ann', 'session-1', ['nightly', 'search'], metadata],
  )
  assert.deepEqual(
    [second?.endUser, second?.session, second?.tags, second?.metadata],
    [null, null, null, null],
  )
})

test('a session may be called in any script, as clients write it into a header', async (t) => {
  const { post, log } = await startGateway(t)
  const names = ['café 🙂', 'caf\xe9']
  // curl and httpx send UTF-8; Latin-1 is what the standard once said.
  for (const bytes of [Buffer.from(names[0]!).toString('latin1'), names[1]!]) {
    const headers = {
      'content-type': 'application/json',
      authorization: `Bearer ${KEY}`,
      'x-headrace-session': bytes,
      'x-headrace-tags': `nightly, ${bytes}`,
    }
    await (await post('/v1/chat/completions', CHAT, { headers })).text()
  }
  const rows = await log.first(2)
  assert.deepEqual(
    rows.map(({ session, tags }) => [session, tags]),
    names.map((name) => [name, ['nightly', name]]),
  )
})

test('who has an answer finds it in the log', async (t) => {
  const { client, log } = await startGateway(t)
  for (let i = 1; i <= 5; i++) {
    await client.chat.completions.create(CHAT)
    assert.equal(log.records.length, 2 * i - 1)
    const stream = await client.chat.completions.create({ ...CHAT, stream: true })
    for await (const chunk of stream) assert.ok(chunk)
    assert.equal(log.records.length, 2 * i)
  }
})

test('where the operator says so, requests are refused that could not be logged', async (t) => {
  const { client, log } = await startGateway(t, { settings: { refusesUnlogged: true } })
  await client.chat.completions.create(CHAT)
  log.hasRoom = false
  await assert.rejects(client.chat.completions.create(CHAT), { status: 503, code: 'log_full' })
  log.hasRoom = true
  await client.chat.completions.create(CHAT)
})

test('a request id that a client chose is not taken over', async (t) => {
  const { post, log } = await startGateway(t)
  const headers = {
    'content-type': 'application/json',
    authorization: `Bearer ${KEY}`,
    'x-request-id': 'mine',
  }
  const response = await post('/v1/chat/completions', CHAT, { headers })
  await response.text()
  const { id } = await log.onlyRecord()
  assert.notEqual(id, 'mine')
  assert.equal(response.headers.get('x-request-id'), id)
})

test('the holder of the admin key may call, and is named', async (t) => {
  const { post, log } = await startGateway(t)
  const headers = { 'content-type': 'application/json', authorization: `bearer ${ADMIN_KEY}` }
  const response = await post('/v1/chat/completions', CHAT, { headers })
  assert.equal(response.status, 200)
  await response.text()
  const { callerId, callerName } = await log.onlyRecord()
  assert.deepEqual([callerId, callerName], [null, 'admin'])
})

test('many requests at once, of all kinds, leave one record each', async (t) => {
  const { post, log } = await startGateway(t)
  const bodies = Array.from({ length: 60 }, (_, index) =>
    index % 3 === 0 ? { ...CHAT, n: 0 } : { ...CHAT, stream: index % 3 === 1 },
  )
  await Promise.all(bodies.map(async (body) => (await post('/v1/chat/completions', body)).text()))
  const records = await log.first(60)
  assert.equal(new Set(records.map(({ id }) => id)).size, 60)
  assert.equal(records.filter(({ outcome }) => outcome === 'refused').length, 20)
  assert.equal(records.filter(({ outcome }) => outcome === 'completed').length, 40)
})
