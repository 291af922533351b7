// Feedback that comes while PostgreSQL is away, or ahead of its exchange.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { errorOf, rowsOf } from '../support/admin.ts'
import { startLogged } from '../support/logged-gateway.ts'
import { startStoppingPostgres } from '../support/postgres.ts'

test('what is said while PostgreSQL is away is taken, and written when it is back', async (t) => {
  const postgres = await startStoppingPostgres(t)
  const { pool } = postgres
  const { ask, makeKey, chat, spool, exchangeLog } = await startLogged(t, {
    pool: () => Promise.resolve(pool),
  })
  const one = await makeKey({ name: 'one' })
  const other = await makeKey({ name: 'other' })
  const earlier = await chat(one.key)
  await exchangeLog.flush()
  await ask('POST', `/v1/exchanges/${earlier}/feedback`, { thumb: 'up', score: 5 }, one.key)
  const made = await ask('POST', `/v1/exchanges/${earlier}/feedback-token`, {}, one.key)
  assert.equal((await ask('GET', '/v1/models', undefined, other.key)).status, 200)

  await postgres.stop()
  // Answered and logged meanwhile: the spool has it, the tables don't.
  const id = await chat(one.key)
  const path = `/v1/exchanges/${id}/feedback`
  const taken = await ask('POST', path, { thumb: 'down', comment: 'No.' }, one.key)
  assert.deepEqual([taken.status, taken.body['thumb'], taken.body['model']], [202, 'down', 'guide'])
  const token = String(made.body['token'])
  assert.equal((await ask('POST', '/v1/feedback', { score: 1 }, token)).status, 202)
  assert.equal((await ask('POST', path, { thumb: 'up' }, other.key)).status, 404)
  const deleted = errorOf(await ask('GET', path, undefined, one.key))
  assert.deepEqual([deleted.status, deleted.code], [503, 'database_unavailable'])

  await postgres.startAgain()
  await spool.flush()
  await exchangeLog.flush()
  const rows = rowsOf(await ask('GET', '/admin/feedback'))
  assert.deepEqual(
    rows.map((row) => [
      row['exchange_id'],
      row['given_by'],
      row['thumb'],
      row['score'],
      row['comment'],
    ]),
    [
      [earlier, 'end_user', null, 1, null],
      [id, 'caller', 'down', null, 'No.'],
      [earlier, 'caller', 'up', 5, null],
    ],
  )
})
