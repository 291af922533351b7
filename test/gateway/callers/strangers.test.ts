// Whoever has no key: they get in nobody's way, fill nothing, and learn nothing.

import assert from 'node:assert/strict'
import test from 'node:test'

import { pino } from 'pino'

import { rowsOf, startAdmin } from '../../support/admin.ts'
import { CHAT } from '../../support/gateway.ts'
import { usePostgres } from '../../support/postgres.ts'
import { sendWrongKeys } from '../../support/wrong-keys.ts'

const postgres = usePostgres()

const WRONG_KEYS = 10_000
/** rows in a minute for callers that nobody knows */
const MAX_ROWS = 100

test('ten thousand wrong keys keep no valid one out, and fill no table', async (t) => {
  const gateway = await startAdmin(t, postgres)
  const { pool, makeKey, client, log, port } = gateway
  const { key: apiKey } = await makeKey({ name: 'bot' })
  const valid = client.withOptions({ apiKey })
  await valid.models.list()

  const during = { isOver: false, served: 0 }
  const burst = sendWrongKeys(port, WRONG_KEYS).finally(() => (during.isOver = true))
  while (!during.isOver) {
    await valid.chat.completions.create(CHAT)
    during.served++
  }
  const answers = await burst
  assert.equal(answers.length, WRONG_KEYS)
  const statuses = new Set(answers)
  statuses.delete(503)
  assert.deepEqual([...statuses], [401])
  assert.ok(during.served > 10, `${during.served} valid ones were served meanwhile`)
  const strangers = log.records.filter(({ callerName }) => callerName === null)
  assert.equal(strangers.length, MAX_ROWS)
  const dropped = /^headrace_strangers_dropped_total (\d+)$/m.exec(await gateway.metrics.render())
  assert.ok(Number(dropped?.[1]) > 0)
  for (const table of ['api_keys', 'audit_log']) {
    const { rows } = await pool.query<{ count: string }>(`SELECT count(*) FROM ${table}`)
    assert.equal(rows[0]?.count, '1', table)
  }
})

test('a key is in no log line, no error, no row, whatever is done with it', async (t) => {
  const lines: string[] = []
  const logger = pino({ level: 'trace' }, { write: (line: string) => lines.push(line) })
  const { ask, makeKey, pool, log, client } = await startAdmin(t, postgres, { deps: { logger } })
  const { key, id } = await makeKey({ name: 'bot', role: 'admin' })
  const told = [
    await ask('PATCH', `/admin/keys/${id}`, { tags: { a: 'b' } }, key),
    await ask('PATCH', `/admin/keys/${id}`, { nonsense: true }, key),
    await ask('GET', '/admin/keys', undefined, key),
    await ask('GET', '/admin/keys/none', undefined, key),
    await ask('GET', '/v1/nowhere', undefined, key),
  ]
  await client.withOptions({ apiKey: key }).chat.completions.create(CHAT)
  const rotated = await ask('POST', `/admin/keys/${id}/rotate`, { overlap_seconds: 60 }, key)
  const other = String(rotated.body['key'])
  await pool.query('ALTER TABLE audit_log ADD CHECK (action <> $$key.revoke$$)')
  told.push(await ask('DELETE', `/admin/keys/${id}`, undefined, other))
  assert.equal(told.at(-1)?.status, 500)
  assert.ok(lines.some((line) => line.includes('violates check constraint')))

  told.push(await ask('GET', '/admin/audit', undefined, other))
  assert.equal(rowsOf(told.at(-1)!).length, 3)
  const { rows } = await pool.query<{ row: string }>(
    'SELECT k::text AS row FROM api_keys k UNION ALL SELECT a::text FROM audit_log a',
  )
  const everything = JSON.stringify([lines, told, rows, log.records])
  for (const secret of [key, other]) {
    assert.ok(!everything.includes(secret))
    assert.ok(!everything.includes(secret.slice(9)), 'no part of it beyond its prefix')
  }
})

test('a wrong key is told the same whether it is unknown or was revoked', async (t) => {
  const { ask, makeKey } = await startAdmin(t, postgres)
  const { key } = await makeKey({ name: 'bot' })
  await ask('DELETE', '/admin/keys/bot')
  const [revoked, unknown] = [
    await ask('GET', '/v1/models', undefined, key),
    await ask('GET', '/v1/models', undefined, 'hr_unknown'),
  ]
  assert.deepEqual([revoked.status, revoked.body], [unknown.status, unknown.body])
})
