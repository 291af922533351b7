import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'

import {
  ApiKeyError,
  createApiKey,
  findCallerByKeyHash,
  hashKey,
  listApiKeys,
  revokeApiKey,
} from '../../../gateway/db/api-keys.ts'
import { migrate } from '../../../gateway/db/migrate.ts'
import { usePostgres } from '../../support/postgres.ts'

const postgres = usePostgres()

async function emptyTable(t: TestContext) {
  const pool = await postgres.pool(t)
  await migrate(pool)
  return pool
}

test('a caller is found by the hash of their key, and the key itself is nowhere in the table', async (t) => {
  const db = await emptyTable(t)
  const key = await createApiKey(db, 'support-chat', 'caller')
  assert.match(key, /^hr_[\w-]{43}$/)
  const caller = await findCallerByKeyHash(db, hashKey(key))
  assert.equal(caller?.name, 'support-chat')
  assert.equal(await findCallerByKeyHash(db, hashKey(`${key}x`)), null)

  const { rows } = await db.query<{ row: string }>('SELECT api_keys::text AS row FROM api_keys')
  assert.ok(!rows[0]!.row.includes(key.slice(12)))
})

test('a revoked key opens nothing, is still listed, and its name can be taken again', async (t) => {
  const db = await emptyTable(t)
  const first = await createApiKey(db, 'bot', 'caller')
  await assert.rejects(createApiKey(db, 'bot', 'caller'), ApiKeyError)
  assert.equal(await revokeApiKey(db, 'bot'), 'bot')
  assert.equal(await findCallerByKeyHash(db, hashKey(first)), null)
  await createApiKey(db, 'bot', 'admin')

  const listed = await listApiKeys(db)
  assert.deepEqual(
    listed.map(({ name, role, revokedAt }) => [name, role, revokedAt !== null]),
    [
      ['bot', 'caller', true],
      ['bot', 'admin', false],
    ],
  )
  assert.equal(first.slice(0, listed[0]!.prefix.length), listed[0]!.prefix)
})

test('a key can be revoked by its id, and one that is not there is named', async (t) => {
  const db = await emptyTable(t)
  await createApiKey(db, 'bot', 'caller')
  const [key] = await listApiKeys(db)
  await revokeApiKey(db, key!.id)
  await assert.rejects(revokeApiKey(db, key!.id), /no valid key with the id or name/)
  await assert.rejects(revokeApiKey(db, "x' OR true --"), /x' OR true --/)
})
