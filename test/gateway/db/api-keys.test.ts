import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'

import { createKey, revokeKey } from '../../../gateway/administration/keys.ts'
import { findCallerByKeyHash, hashKey, listApiKeys } from '../../../gateway/db/api-keys.ts'
import { migrate } from '../../../gateway/db/migrate.ts'
import { usePostgres } from '../../support/postgres.ts'

const postgres = usePostgres()
const ACTOR = { id: null, name: 'tests', via: 'command_line' as const }
const ALL = [{ withRevoked: true }, { after: null, limit: 10 }] as const

async function emptyTable(t: TestContext) {
  const pool = await postgres.pool(t)
  await migrate(pool)
  return pool
}

test('a caller is found by the hash of their key, and the key itself is nowhere in the table', async (t) => {
  const db = await emptyTable(t)
  const { key } = await createKey(db, ACTOR, { name: 'support-chat' })
  assert.match(key, /^hr_[\w-]{43}$/)
  const caller = await findCallerByKeyHash(db, hashKey(key))
  assert.equal(caller?.name, 'support-chat')
  assert.equal(await findCallerByKeyHash(db, hashKey(`${key}x`)), null)

  const { rows } = await db.query<{ row: string }>('SELECT api_keys::text AS row FROM api_keys')
  assert.ok(!rows[0]!.row.includes(key.slice(12)))
})

test('a revoked key opens nothing, is still listed, and its name can be taken again', async (t) => {
  const db = await emptyTable(t)
  const first = await createKey(db, ACTOR, { name: 'bot' })
  await assert.rejects(createKey(db, ACTOR, { name: 'bot' }), { code: 'name_taken' })
  await revokeKey(db, ACTOR, 'bot')
  assert.equal(await findCallerByKeyHash(db, hashKey(first.key)), null)
  await createKey(db, ACTOR, { name: 'bot', role: 'admin' })

  const { rows } = await listApiKeys(db, ...ALL)
  assert.deepEqual(
    rows.map(({ name, role, revokedAt }) => [name, role, revokedAt !== null]),
    [
      ['bot', 'admin', false],
      ['bot', 'caller', true],
    ],
  )
  const { prefix } = rows[1]!
  assert.equal(first.key.slice(0, prefix.length), prefix)
})

test('a key can be revoked by its id, and one that is not there is named', async (t) => {
  const db = await emptyTable(t)
  const { apiKey } = await createKey(db, ACTOR, { name: 'bot' })
  await revokeKey(db, ACTOR, apiKey.id)
  await assert.rejects(revokeKey(db, ACTOR, apiKey.id), { code: 'key_revoked' })
  await assert.rejects(revokeKey(db, ACTOR, 'bot'), /no valid key with the id or name 'bot'/)
  await assert.rejects(revokeKey(db, ACTOR, "x' OR true --"), /x' OR true --/)
})
