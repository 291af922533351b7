// Callers while PostgreSQL is really away, and what a burst of strangers leaves in its tables.

import assert from 'node:assert/strict'
import test from 'node:test'

import { errorOf, startAdmin } from '../../support/admin.ts'
import { ADMIN_KEY, CHAT } from '../../support/gateway.ts'
import { openExchangeLog } from '../../support/exchange-log.ts'
import { startStoppingPostgres, usePostgres } from '../../support/postgres.ts'
import { sendWrongKeys } from '../../support/wrong-keys.ts'

const postgres = usePostgres()

test('with PostgreSQL stopped known keys go on for the grace, the server stays ready, nobody gets a 401', async (t) => {
  const clock = { aheadMs: 0 }
  const now = () => Date.now() + clock.aheadMs
  const server = await startStoppingPostgres(t)
  const { ask, makeKey, url } = await startAdmin(t, server.pool, {
    deps: { now },
    settings: { authGraceMs: 60_000 },
  })
  const list = (key: string) => ask('GET', '/v1/models', undefined, key)
  const { key } = await makeKey({ name: 'bot' })
  assert.equal((await list(key)).status, 200)
  await server.stop()

  clock.aheadMs = 50_000
  assert.equal((await list(key)).status, 200)
  assert.equal((await list(ADMIN_KEY)).status, 200)
  assert.equal((await fetch(`${url}/readyz`)).status, 200)
  const unseen = errorOf(await list('hr_unseen'))
  assert.deepEqual([unseen.status, unseen.code], [503, 'key_check_unavailable'])
  clock.aheadMs = 61_000
  const late = errorOf(await list(key))
  assert.deepEqual([late.status, late.code], [503, 'key_check_unavailable'])
})

/** many times what is recorded of them */
const BURST = 2_000

test('thousands of wrong keys leave a hundred rows a minute in PostgreSQL, and no key in them', async (t) => {
  const pool = await postgres.pool(t)
  const { log: exchangeLog } = await openExchangeLog(t, pool)
  const { port } = await startAdmin(t, pool, { deps: { exchangeLog } })
  const statuses = await sendWrongKeys(port, BURST)
  assert.equal(statuses.length, BURST)
  // Beyond a bounded line they are told to come back.
  assert.ok(statuses.every((status) => status === 401 || status === 503))
  await exchangeLog.flush()
  const { rows } = await pool.query<{ row: string }>('SELECT e::text AS row FROM exchanges e')
  assert.ok(rows.length >= 100 && rows.length <= 200, `${rows.length} rows`)
  assert.ok(rows.every(({ row }) => !row.includes('planted')))
})

test('requests that a server refuses because it shuts down are all recorded', async (t) => {
  const { post, readiness, log } = await startAdmin(t, postgres)
  readiness.drain()
  for (let i = 0; i < 110; i++) assert.equal((await post('/v1/completions', CHAT)).status, 503)
  const records = await log.first(110)
  assert.ok(records.every(({ errorCode }) => errorCode === 'draining'))
})
