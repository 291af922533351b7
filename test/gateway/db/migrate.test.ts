import assert from 'node:assert/strict'
import { cp, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import test from 'node:test'

import { migrate, MIGRATIONS_FOLDER, MigrationError } from '../../../gateway/db/migrate.ts'
import { sumSpend } from '../../../gateway/db/spend.ts'
import { makeFolder } from '../../support/folder.ts'
import { usePostgres } from '../../support/postgres.ts'
import type { SpendQuestion } from '../../../gateway/db/spend.ts'

const postgres = usePostgres()

test('migrations run once, in order', async (t) => {
  const pool = await postgres.pool(t, { isEmpty: true })
  const ran = await migrate(pool)
  assert.equal(ran[0], '0001-api-keys.sql')
  assert.deepEqual(ran, ran.toSorted())
  assert.deepEqual(await migrate(pool), [])
})

test('gateways that start at once run each migration once between them', async (t) => {
  const pool = await postgres.pool(t, { isEmpty: true })
  const all = await Promise.all(Array.from({ length: 5 }, () => migrate(pool)))
  const ran = all.filter((names) => names.length > 0)
  assert.equal(ran.length, 1)
})

test('a migration may take longer than a query, and so may waiting for that of another gateway', async (t) => {
  const pool = await postgres.pool(t, { isEmpty: true })
  pool.options.query_timeout = 300
  const folder = await makeFolder(t)
  await writeFile(join(folder, '0001-large.sql'), '-- Why: large\nSELECT pg_sleep(0.6);')
  const all = await Promise.all([migrate(pool, folder), migrate(pool, folder)])
  assert.deepEqual(all.flat(), ['0001-large.sql'])
})

test('a migration that was edited after it ran stops the start and is named', async (t) => {
  const pool = await postgres.pool(t, { isEmpty: true })
  const folder = await makeFolder(t)
  await cp(MIGRATIONS_FOLDER, folder, { recursive: true })
  await migrate(pool, folder)
  await writeFile(join(folder, '0002-exchanges.sql'), '-- Why: edited\nSELECT 1;')
  await assert.rejects(migrate(pool, folder), (error) => {
    assert.ok(error instanceof MigrationError)
    assert.match(error.message, /0002-exchanges\.sql is not what ran on this database/)
    return true
  })
})

test('a database of a newer release is left alone', async (t) => {
  const pool = await postgres.pool(t, { isEmpty: true })
  const newer = await makeFolder(t)
  await cp(MIGRATIONS_FOLDER, newer, { recursive: true })
  await writeFile(join(newer, '0999-later.sql'), '-- Why: later\nSELECT 1;')
  await migrate(pool, newer)
  await assert.rejects(migrate(pool), /brought up to 0999-later\.sql by a newer release/)
})

test('a migration that fails leaves nothing of itself or of those before it', async (t) => {
  const pool = await postgres.pool(t, { isEmpty: true })
  const folder = await makeFolder(t)
  await writeFile(join(folder, '0001-good.sql'), '-- Why: good\nCREATE TABLE good (id int);')
  await writeFile(join(folder, '0002-bad.sql'), '-- Why: bad\nCREATE TABLE bad (id nonsense);')
  await assert.rejects(migrate(pool, folder), /0002-bad\.sql failed.*nonsense/)
  const { rows } = await pool.query(
    'SELECT 1 FROM information_schema.tables WHERE table_schema = current_schema()',
  )
  assert.deepEqual(rows, [])
})

test('what was logged and spent before there were days is still there', async (t) => {
  const pool = await postgres.pool(t, { isEmpty: true })
  const before = await makeFolder(t)
  await cp(MIGRATIONS_FOLDER, before, {
    recursive: true,
    filter: (path) => !path.endsWith('.sql') || basename(path) < '0009',
  })
  await migrate(pool, before)
  await pool.query(`
    INSERT INTO exchanges (id, started_at, closed_at, method, route, streamed, total_ms, outcome, status)
    VALUES (gen_random_uuid(), now(), now(), 'POST', '/v1/completions', false, 1, 'completed', 200);
    INSERT INTO spend (exchange_id, at, key_id, model, version, prompt_tokens, cached_tokens, completion_tokens, cost_usd)
    SELECT gen_random_uuid(), '2026-03-01T10:30:00Z', 'key-1', 'guide', 'guide@1', 3, 1, 4, 0.5 FROM generate_series(1, 2)`)
  await migrate(pool)
  const { rows: logged } = await pool.query('SELECT route FROM exchanges_before_days')
  assert.equal(logged.length, 1)
  const march = { from: new Date('2026-03-01'), to: new Date('2026-04-01') }
  const questions: SpendQuestion[] = [{ owner: 'key', id: 'key-1', ...march }]
  assert.deepEqual(await sumSpend(pool, questions), [{ tokens: 14, usd: 1 }])
})
