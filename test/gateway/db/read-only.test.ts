import assert from 'node:assert/strict'
import test from 'node:test'

import { inTime } from '../../../gateway/administration/analytics.ts'
import { readOnly } from '../../../gateway/db/read-only.ts'
import { usePostgres } from '../../support/postgres.ts'

const postgres = usePostgres()

test('a question that takes too long is ended, and says what to do', async (t) => {
  const pool = await postgres.pool(t)
  const asked = readOnly(pool, (db) => db.query('SELECT pg_sleep(20)'), 50)
  await assert.rejects(inTime(asked), {
    code: 'query_too_slow',
    message: /longer than 0\.05 s\. Ask for a shorter time between 'from' and 'to'/,
  })
  // The connection goes on as if nothing had been.
  const { rows } = await pool.query('SHOW statement_timeout')
  assert.deepEqual(rows, [{ statement_timeout: '0' }])
})

test('a question changes nothing', async (t) => {
  const pool = await postgres.pool(t)
  await assert.rejects(
    readOnly(pool, (db) => db.query('CREATE TABLE things (id integer)')),
    /read-only transaction/,
  )
})
