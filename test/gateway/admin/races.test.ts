// Two administrators at once: whoever comes second decides by what the first one did.

import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'

import { changeKey, createKey } from '../../../gateway/administration/keys.ts'
import { createProject } from '../../../gateway/administration/projects.ts'
import { listApiKeys } from '../../../gateway/db/api-keys.ts'
import { migrate } from '../../../gateway/db/migrate.ts'
import { usePostgres } from '../../support/postgres.ts'
import type { Actor } from '../../../gateway/db/audit.ts'
import type { Pool } from '../../../gateway/db/pool.ts'

const postgres = usePostgres()
const ACTOR: Actor = { id: null, name: 'admin', via: 'api' }

async function start(t: TestContext) {
  const pool = await postgres.pool(t)
  await migrate(pool)
  await createProject(pool, ACTOR, { name: 'search' })
  return pool
}

/** Changes the project in a transaction of its own, which ends when somebody waits for it. */
async function whileChanging<T>(pool: Pool, set: string, work: () => Promise<T>) {
  const first = await pool.connect()
  await first.query('BEGIN')
  const { rows } = await first.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
  await first.query(`UPDATE projects SET ${set} WHERE name = 'search'`)
  const second = work().then(
    (value) => ({ value, error: null }),
    (error: unknown) => ({ value: null, error: error as { code?: string } }),
  )
  const over = new AbortController()
  void second.then(() => over.abort())
  while (!over.signal.aborted) {
    const { rowCount } = await pool.query(
      'SELECT 1 FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid))',
      [rows[0]!.pid],
    )
    if (rowCount) break
  }
  await first.query('COMMIT')
  first.release()
  return second
}

const draft = { name: 'bot', project: 'search' }

test('no key comes into a project that is being archived', async (t) => {
  const pool = await start(t)
  const { error } = await whileChanging(pool, 'archived_at = now()', () =>
    createKey(pool, ACTOR, draft),
  )
  assert.equal(error?.code, 'project_archived')
  const { rows } = await listApiKeys(pool, { withRevoked: true }, { after: null, limit: 10 })
  assert.deepEqual(rows, [])

  await createKey(pool, ACTOR, { name: 'other' })
  await createProject(pool, ACTOR, { name: 'search' })
  const moved = await whileChanging(pool, 'archived_at = now()', () =>
    changeKey(pool, ACTOR, 'other', { project: 'search' }),
  )
  assert.equal(moved.error?.code, 'project_archived')
})

test('a name that changes hands meanwhile is looked up again', async (t) => {
  const pool = await start(t)
  const { error } = await whileChanging(pool, "name = 'renamed'", () =>
    createKey(pool, ACTOR, draft),
  )
  assert.equal(error?.code, 'project_not_found')
})
