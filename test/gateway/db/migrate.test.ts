import assert from 'node:assert/strict'
import { cp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'

import { migrate, MIGRATIONS_FOLDER, MigrationError } from '../../../gateway/db/migrate.ts'
import { makeFolder } from '../../support/folder.ts'
import { usePostgres } from '../../support/postgres.ts'

const postgres = usePostgres()

test('migrations run once, in order', async (t) => {
  const pool = await postgres.pool(t)
  const ran = await migrate(pool)
  assert.equal(ran[0], '0001-api-keys.sql')
  assert.deepEqual(ran, ran.toSorted())
  assert.deepEqual(await migrate(pool), [])
})

test('gateways that start at once run each migration once between them', async (t) => {
  const pool = await postgres.pool(t)
  const all = await Promise.all(Array.from({ length: 5 }, () => migrate(pool)))
  const ran = all.filter((names) => names.length > 0)
  assert.equal(ran.length, 1)
})

test('a migration that was edited after it ran stops the start and is named', async (t) => {
  const pool = await postgres.pool(t)
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
  const pool = await postgres.pool(t)
  const newer = await makeFolder(t)
  await cp(MIGRATIONS_FOLDER, newer, { recursive: true })
  await writeFile(join(newer, '0999-later.sql'), '-- Why: later\nSELECT 1;')
  await migrate(pool, newer)
  await assert.rejects(migrate(pool), /brought up to 0999-later\.sql by a newer release/)
})

test('a migration that fails leaves nothing of itself or of those before it', async (t) => {
  const pool = await postgres.pool(t)
  const folder = await makeFolder(t)
  await writeFile(join(folder, '0001-good.sql'), '-- Why: good\nCREATE TABLE good (id int);')
  await writeFile(join(folder, '0002-bad.sql'), '-- Why: bad\nCREATE TABLE bad (id nonsense);')
  await assert.rejects(migrate(pool, folder), /0002-bad\.sql failed.*nonsense/)
  const { rows } = await pool.query(
    'SELECT 1 FROM information_schema.tables WHERE table_schema = current_schema()',
  )
  assert.deepEqual(rows, [])
})
