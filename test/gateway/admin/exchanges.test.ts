// The exchange log, read: filters, pages, texts, and who may see what.

import assert from 'node:assert/strict'
import { randomUUIDv7 } from 'node:crypto'
import test from 'node:test'

import { lowestIdAt } from '../../../gateway/db/partitions.ts'
import { errorOf, rowsOf } from '../../support/admin.ts'
import { startReading } from '../../support/exchange-reading.ts'
import { usePostgres } from '../../support/postgres.ts'
import type { ExchangeRecord } from '../../../gateway/exchange/exchange-record.ts'

const postgres = usePostgres()

const CALLER = '0190a3f2-7c4e-7000-8000-000000000001'
const HOUR_MS = 60 * 60_000

/** An id of that time; `n` tells those of one millisecond apart. */
const idAt = (ms: number, n = 0) =>
  lowestIdAt(ms).slice(0, 14) + '7000-8000-' + n.toString(16).padStart(12, '0')

test('every field finds the exchanges that have its value, and no others', async (t) => {
  const { ask, write } = await startReading(t, postgres)
  const wanted: Partial<ExchangeRecord> = {
    callerId: CALLER,
    callerName: 'search',
    projectId: CALLER,
    endUser: 'ann',
    session: 's1',
    conversationId: CALLER,
    previousId: CALLER,
    tags: ['a', 'b'],
    metadata: { team: 'x', stage: 'y' },
    method: 'PUT',
    route: '/v1/messages',
    requestedModel: 'other',
    model: 'other',
    version: 'other@7',
    upstream: 'away',
    attempts: [
      { version: 'guide@2', upstream: 'away', ms: 3, error: 'upstream_error', detail: null },
      { version: 'other@7', upstream: 'away', ms: 4, error: null, detail: null },
    ],
    streamed: false,
    finishReasons: ['length'],
    promptTokens: 1000,
    cachedTokens: 900,
    completionTokens: 800,
    isUsageEstimated: true,
    costUsd: 0.25,
    cache: 'hit',
    queueMs: 10,
    prefillMs: 200,
    decodeMs: 300,
    timeToFirstTokenMs: 400,
    interTokenMs: 50,
    overheadMs: 60,
    totalMs: 9000,
    outcome: 'failed',
    status: 502,
    errorCode: 'upstream_error',
    isStored: true,
  }
  const [id] = await write(wanted, {}, {})
  const queries = [
    `caller_id=${CALLER}`,
    'caller_name=search',
    `project_id=${CALLER}`,
    'end_user=ann',
    'session=s1',
    `conversation_id=${CALLER}`,
    `previous_id=${CALLER}`,
    'tag=a',
    'tag=a&tag=b',
    'metadata.team=x&metadata.stage=y',
    'method=PUT',
    'route=/v1/messages',
    'requested_model=other',
    'model=other',
    'version=other@7',
    'upstream=away',
    'attempt_count=2',
    'attempt_count_min=2',
    'streamed=false',
    'finish_reason=length',
    'prompt_tokens_min=1000',
    'cached_tokens_min=900',
    'completion_tokens_min=800',
    'is_usage_estimated=true',
    'cost_usd_min=0.25',
    'cache=hit',
    'queue_ms_min=10',
    'prefill_ms_min=200',
    'decode_ms_min=300',
    'time_to_first_token_ms_min=400',
    'inter_token_ms_min=50',
    'overhead_ms_min=60',
    'total_ms_min=9000&total_ms_max=9000',
    'outcome=failed',
    'outcome=failed&outcome=refused',
    'status=502',
    'error_code=upstream_error',
    'is_stored=true',
  ]
  for (const query of queries) {
    const found = rowsOf(await ask('GET', `/admin/exchanges?${query}`)).map((row) => row['id'])
    assert.deepEqual(found, [id], query)
  }
  for (const query of [
    'caller_id=null',
    'error_code=null',
    'total_ms_max=8999',
    'outcome=completed',
  ]) {
    const found = rowsOf(await ask('GET', `/admin/exchanges?${query}`))
    assert.equal(found.length, 2, query)
  }
  const either = await ask('GET', '/admin/exchanges?error_code=null&error_code=upstream_error')
  assert.equal(rowsOf(either).length, 3)
  const none = await ask('GET', '/admin/exchanges?tag=a&tag=c')
  assert.deepEqual(rowsOf(none), [])
})

test('pages follow each other without gaps or repeats, both ways, while rows come', async (t) => {
  const { ask, write } = await startReading(t, postgres)
  const now = Date.now()
  // Over several days, and several in one millisecond.
  const ids = Array.from({ length: 23 }, (_, n) => idAt(now - 40 * HOUR_MS * (n >> 1), n)).sort()
  await write(...ids.map((id, n) => ({ id, errorCode: n % 2 ? 'overloaded' : null })))
  const readAll = async (query: string) => {
    const read: string[] = []
    let after = ''
    for (;;) {
      const page = await ask('GET', `/admin/exchanges?limit=4&${query}${after}`)
      assert.equal(page.status, 200, JSON.stringify(page.body))
      read.push(...rowsOf(page).map((row) => String(row['id'])))
      if (!page.body['has_more']) return read
      after = `&after=${String(page.body['last_id'])}`
      if (read.length === 4 && query === '') await write({ id: randomUUIDv7() })
    }
  }
  assert.deepEqual(await readAll(''), ids.toReversed())
  const odd = ids.filter((_, n) => n % 2)
  assert.deepEqual(await readAll('error_code=overloaded'), odd.toReversed())
  assert.deepEqual(await readAll('error_code=overloaded&order=oldest'), odd)
  assert.deepEqual((await readAll('order=oldest')).slice(0, 23), ids)
})

test('what is rare is found behind many that are not', async (t) => {
  const { ask, write, pool } = await startReading(t, postgres)
  const now = Date.now()
  const [rare] = await write({ id: idAt(now - 3 * HOUR_MS), version: 'old@1', totalMs: 90_000 })
  const [first] = await write({ id: idAt(now - 2 * HOUR_MS) })
  // More than are walked along at first.
  await pool.query(
    `INSERT INTO exchanges (id, started_at, method, route, attempt_count, streamed, is_usage_estimated, total_ms, outcome,
       status, is_stored, version)
     SELECT (substr(id::text, 1, 24) || lpad(to_hex(n), 12, '0'))::uuid, started_at, method, route, attempt_count,
       streamed, is_usage_estimated, total_ms, outcome, status, is_stored, 'new@1'
     FROM exchanges, generate_series(1, 10500) AS n WHERE id = $1`,
    [first],
  )
  for (const query of ['version=old@1', 'total_ms_min=80000', 'model=guide&total_ms_min=80000']) {
    const found = rowsOf(await ask('GET', `/admin/exchanges?${query}`)).map((row) => row['id'])
    assert.deepEqual(found, [rare], query)
    const oldest = await ask('GET', `/admin/exchanges?order=oldest&${query}`)
    assert.deepEqual(
      rowsOf(oldest).map((row) => row['id']),
      [rare],
      query,
    )
  }
  // More matches than one look takes, behind what was walked.
  const crowd = await ask(
    'GET',
    `/admin/exchanges?method=POST&total_ms_max=80000&order=oldest&limit=2`,
  )
  assert.equal(rowsOf(crowd)[0]?.['id'], first)
})

test('a time is a range of days, from its first moment to before its last', async (t) => {
  const { ask, write } = await startReading(t, postgres)
  const at = Date.parse('2026-03-01T10:00:00.000Z')
  const [, second, third] = await write(
    { id: idAt(at - 1) },
    { id: idAt(at) },
    { id: idAt(at + 1) },
  )
  const from = 'from=2026-03-01T10:00:00Z'
  const found = await ask('GET', `/admin/exchanges?${from}`)
  assert.deepEqual(
    rowsOf(found).map((row) => row['id']),
    [third, second],
  )
  const bounded = await ask('GET', `/admin/exchanges?${from}&to=2026-03-01T10:00:00.001Z`)
  assert.deepEqual(
    rowsOf(bounded).map((row) => row['id']),
    [second],
  )
})

test('a filter that is not known is refused with those that are', async (t) => {
  const { ask } = await startReading(t, postgres)
  const unknown = errorOf(await ask('GET', '/admin/exchanges?modle=guide'))
  assert.equal(unknown.status, 400)
  assert.equal(unknown.code, 'unknown_parameter')
  assert.equal(unknown.param, 'modle')
  assert.match(unknown.message, /Did you mean 'model'\? Allowed are /)
  assert.match(unknown.message, /total_ms_min.*metadata\.NAME/)
  for (const query of [
    'outcome=good',
    'caller_id=ann',
    'total_ms=12',
    'total_ms_min=fast',
    'streamed=maybe',
    'from=yesterday',
    'total_ms_min=1&total_ms_min=2',
    'prompt_tokens_min=1.5',
    'after=1',
    'limit=1000',
  ]) {
    const { status, param } = errorOf(await ask('GET', `/admin/exchanges?${query}`))
    assert.equal(status, 400, query)
    assert.equal(param, query.split('=')[0], query)
  }
})

test('texts are told where they are asked for, with the system prompt, and who read them is kept', async (t) => {
  const { ask, write, makeKey } = await startReading(t, postgres)
  const prompt = [
    { role: 'system', content: 'Answer as a librarian would. '.repeat(20) },
    { role: 'user', content: 'Which book?' },
  ]
  const [id] = await write({ prompt, answer: ['This one.'], parameters: { temperature: 0 } })
  const listed = rowsOf(await ask('GET', '/admin/exchanges'))[0]!
  assert.equal(listed['prompt'], undefined)
  assert.equal(rowsOf(await ask('GET', '/admin/audit?kind=exchange')).length, 0)

  const { key, id: readerId } = await makeKey({ name: 'eve', role: 'admin' })
  const { body } = await ask('GET', `/admin/exchanges/${id}`, undefined, key)
  assert.deepEqual(body['prompt'], prompt)
  assert.deepEqual(body['answer'], ['This one.'])
  assert.deepEqual(body['parameters'], { temperature: 0 })
  const withBodies = rowsOf(await ask('GET', '/admin/exchanges?include=bodies'))[0]!
  assert.deepEqual(withBodies['prompt'], prompt)

  const [second, first] = rowsOf(await ask('GET', `/admin/audit?kind=exchange&target=${id}`))
  assert.deepEqual(first?.['actor'], { id: readerId, name: 'eve', via: 'api' })
  assert.equal(first?.['action'], 'exchange.read')
  assert.deepEqual(second?.['actor'], { id: null, name: 'admin', via: 'api' })
})

test('developers see their project, and nothing else is there for them', async (t) => {
  const { ask, write, makeKey } = await startReading(t, postgres)
  const project = await ask('POST', '/admin/projects', { name: 'search' })
  const projectId = String(project.body['id'])
  const [own, others] = await write({ projectId }, { projectId: CALLER }, {})
  const { key } = await makeKey({ name: 'dev', role: 'developer', project: 'search' })
  const { key: homeless } = await makeKey({ name: 'lone', role: 'developer' })
  const { key: caller } = await makeKey({ name: 'bot' })

  const seen = async (query: string, as = key) =>
    rowsOf(await ask('GET', `/admin/exchanges${query}`, undefined, as)).map((row) => row['id'])
  assert.deepEqual(await seen(''), [own])
  assert.deepEqual(await seen(`?project_id=${CALLER}`), [])
  assert.deepEqual(await seen('', homeless), [])
  assert.equal((await ask('GET', `/admin/exchanges/${own}`, undefined, key)).status, 200)
  for (const path of [`/admin/exchanges/${others}`, `/admin/exchanges/${others}/thread`]) {
    const { status, code } = errorOf(await ask('GET', path, undefined, key))
    assert.equal(status, 404)
    assert.equal(code, 'exchange_not_found')
  }
  assert.equal((await ask('GET', '/admin/exchanges', undefined, caller)).status, 403)
})
