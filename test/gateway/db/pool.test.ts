import assert from 'node:assert/strict'
import test from 'node:test'

import { inTransaction } from '../../../gateway/db/transaction.ts'
import { usePostgres } from '../../support/postgres.ts'

const postgres = usePostgres()

test('a connection that breaks in the middle of a transaction fails it, and nothing else', async (t) => {
  const pool = await postgres.pool(t)

  const broken = inTransaction(pool, async (client) => {
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
    // Not once() of node:events, which would listen to errors too.
    const ended = new Promise<void>((resolve) => client.once('end', resolve))
    await pool.query('SELECT pg_terminate_backend($1)', [rows[0]?.pid])
    // Nothing was asked of it when it broke, so that there is nobody to be told.
    await ended
    await client.query('SELECT 1')
  })

  await assert.rejects(broken)
  assert.equal((await pool.query('SELECT 1')).rows.length, 1)
})
