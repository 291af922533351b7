// One end user's data: all of it handed out, and erased with the figures left.

import assert from 'node:assert/strict'
import { randomUUIDv7 } from 'node:crypto'
import test from 'node:test'
import type { TestContext } from 'node:test'

import { upsertFeedback } from '../../../gateway/db/feedback.ts'
import { insertResponse } from '../../../gateway/db/responses.ts'
import { ADMIN_KEY, privacyOf } from '../../support/gateway.ts'
import { exchangeRecord } from '../../support/exchange-record.ts'
import { openExchangeLog } from '../../support/exchange-log.ts'
import { rowsOf, startAdmin } from '../../support/admin.ts'
import { usePostgres } from '../../support/postgres.ts'

const postgres = usePostgres()
const EMAIL = 'jane@example.com'
/** long enough to be kept once for all */
const SYSTEM = 'Be kind. '.repeat(100)

async function start(t: TestContext) {
  const pool = await postgres.pool(t)
  const { log } = await openExchangeLog(t, pool)
  const privacy = privacyOf('redacted')
  const gateway = await startAdmin(t, pool, { deps: { privacy } })
  const { body: project } = await gateway.ask('POST', '/admin/projects', { name: 'support' })
  const projectId = String(project['id'])
  const mine = {
    endUser: 'user-1',
    session: 's-1',
    metadata: { name: 'Jane' },
    tags: ['vip'],
    costUsd: 0.25,
    attempts: [
      { version: 'a', upstream: 'b', ms: 1, error: 'upstream_error', detail: 'Jane said it' },
    ],
  }
  const records = [
    exchangeRecord({
      ...mine,
      prompt: [{ role: 'system', content: SYSTEM }],
      answer: ['Hello Jane'],
    }),
    exchangeRecord({ ...mine, projectId, prompt: 'Another Jane', errorMessage: 'no Jane' }),
    exchangeRecord({ endUser: 'user-2', prompt: 'of somebody else' }),
    privacy.kept(exchangeRecord({ endUser: EMAIL, prompt: `I am ${EMAIL}` }), null),
  ]
  for (const record of records) log.append(record)
  await log.flush()
  const [first] = records
  const now = new Date()
  await upsertFeedback(pool, {
    id: randomUUIDv7(),
    exchangeId: first!.id,
    giver: 'user:admin:user-1',
    givenBy: 'end_user',
    endUser: 'user-1',
    callerId: null,
    callerName: null,
    projectId: null,
    opinion: { thumb: 'down', comment: 'Jane is not amused' },
    model: null,
    version: null,
    isConfirmed: true,
    at: now.toISOString(),
  })
  const response = {
    id: first!.id,
    owner: 'admin',
    previousId: null,
    head: '{}',
    input: '["Jane asked"]',
    output: '[]',
    createdAt: now,
    expiresAt: new Date(now.getTime() + 60_000),
  }
  await insertResponse(pool, response, { ids: [], before: now })
  const read = async (path: string, key = ADMIN_KEY) => {
    const answer = await fetch(gateway.url + path, { headers: { authorization: `Bearer ${key}` } })
    const text = await answer.text()
    return { status: answer.status, text }
  }
  return { ...gateway, records, read }
}

const linesOf = (text: string) =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>)

test('all that is kept of an end user is handed out, and of nobody else', async (t) => {
  const { read, records, ask } = await start(t)
  const { status, text } = await read('/admin/end-users/user-1/export')
  assert.equal(status, 200)
  const lines = linesOf(text)
  assert.deepEqual(
    lines.map(({ object }) => object),
    ['exchange', 'exchange', 'response', 'feedback'],
  )
  // Ids of one millisecond are in any order.
  const first = lines.find(({ id, object }) => id === records[0]!.id && object === 'exchange')
  assert.equal(first?.['system_prompt'], SYSTEM)
  assert.deepEqual(first['answer'], ['Hello Jane'])
  const second = lines.find(({ id }) => id === records[1]!.id)
  assert.equal(second?.['prompt'], 'Another Jane')
  assert.equal(lines[3]?.['comment'], 'Jane is not amused')

  const ofProject = linesOf((await read('/admin/end-users/user-1/export?project=support')).text)
  assert.deepEqual(
    ofProject.map(({ id }) => id),
    [records[1]!.id],
  )
  const entries = rowsOf(await ask('GET', '/admin/audit?action=end_user.export'))
  assert.equal(entries.length, 2)
})

test('an end user whose name may not be kept is found by it all the same', async (t) => {
  const { read, records } = await start(t)
  const path = `/admin/end-users/${encodeURIComponent(EMAIL)}/export`
  const lines = linesOf((await read(path)).text)
  assert.deepEqual(
    lines.map(({ id }) => id),
    [records[3]!.id],
  )
  assert.match(String(lines[0]?.['end_user']), /^user-[0-9a-f]{24}$/)
})

test('a filter by an end user finds what is kept under their pseudonym too', async (t) => {
  const { ask, read, records } = await start(t)
  const query = `end_user=${encodeURIComponent(EMAIL)}`
  const listed = rowsOf(await ask('GET', `/admin/exchanges?${query}`))
  assert.deepEqual(
    listed.map(({ id }) => id),
    [records[3]!.id],
  )
  const exported = linesOf((await read(`/admin/export?bodies=true&${query}`)).text)
  assert.deepEqual(
    exported.map(({ id }) => id),
    [records[3]!.id],
  )
  // Names that are kept as they are, and others beside them.
  const both = rowsOf(await ask('GET', `/admin/exchanges?${query}&end_user=user-2`))
  assert.equal(both.length, 2)
  const { text: audit } = await read('/admin/audit')
  assert.match(audit, /exchange\.export.*user-[0-9a-f]{24}/)
  assert.doesNotMatch(audit, /jane/)
})

test('of an erased end user only figures are left', async (t) => {
  const { ask, pool, read } = await start(t)
  const sums = async () =>
    (await pool.query('SELECT count(*), sum(cost_usd), sum(prompt_tokens) FROM exchanges')).rows
  const before = await sums()
  const { status, body } = await ask('DELETE', '/admin/end-users/user-1')
  assert.equal(status, 200)
  assert.deepEqual(body, {
    object: 'end_user.erased',
    exchanges: 2,
    texts: 2,
    responses: 1,
    feedback: 1,
  })
  assert.deepEqual(await sums(), before)
  for (const table of ['exchanges', 'exchange_bodies', 'responses', 'feedback', 'audit_log']) {
    const { rows } = await pool.query<{ row: string }>(`SELECT t::text AS row FROM ${table} t`)
    const texts = rows.map(({ row }) => row).join('\n')
    assert.doesNotMatch(texts, /Jane|user-1(?!\d)|vip|s-1/, table)
  }
  const { rows: feedback } = await pool.query('SELECT thumb FROM feedback')
  assert.deepEqual(feedback, [{ thumb: 'down' }])
  const { rows: others } = await pool.query(`SELECT id FROM exchange_bodies`)
  assert.equal(others.length, 2)
  assert.equal((await read('/admin/end-users/user-1/export')).text, '')

  const [entry] = rowsOf(await ask('GET', '/admin/audit?action=end_user.erase'))
  assert.deepEqual(entry?.['after'], { exchanges: 2, texts: 2, responses: 1, feedback: 1 })
})

test('only admins hand out and erase, and a project that is not there erases nothing', async (t) => {
  const { ask, makeKey } = await start(t)
  const { key } = await makeKey({ name: 'dev', role: 'developer' })
  assert.equal((await ask('DELETE', '/admin/end-users/user-1', undefined, key)).status, 403)
  assert.equal((await ask('GET', '/admin/end-users/user-1/export', undefined, key)).status, 403)
  assert.equal((await ask('DELETE', '/admin/end-users/user-1?project=none')).status, 404)
})
