// A real PostgreSQL that stops and comes back, under callers who go on.

import assert from 'node:assert/strict'
import test from 'node:test'

import { createKey, revokeKey } from '../../../gateway/administration/keys.ts'
import { startAdmin } from '../../support/admin.ts'
import { CHAT } from '../../support/gateway.ts'
import { startStoppingPostgres } from '../../support/postgres.ts'

const ACTOR = { id: null, name: 'tests', via: 'command_line' as const }

test('no valid key is refused while PostgreSQL is stopped, and what was changed since counts when it is back', async (t) => {
  const postgres = await startStoppingPostgres(t)
  const { pool } = postgres
  const clock = { ms: Date.now() }
  const deps = { now: () => clock.ms }
  const settings = { authGraceMs: 600_000 }
  const { client, ask } = await startAdmin(t, pool, { deps, settings })
  const { key: apiKey } = await createKey(pool, ACTOR, { name: 'bot' })
  const { key: unseen } = await createKey(pool, ACTOR, { name: 'unseen' })
  const chat = (key: string) => client.withOptions({ apiKey: key }).chat.completions.create(CHAT)
  await chat(apiKey)

  await postgres.stop()
  for (let minute = 0; minute < 9; minute++) {
    clock.ms += 60_000
    await Promise.all(Array.from({ length: 20 }, () => chat(apiKey)))
  }
  await assert.rejects(chat(unseen), { status: 503, code: 'key_check_unavailable' })
  assert.equal((await ask('GET', '/admin/keys')).status, 503)

  await postgres.startAgain()
  clock.ms += 1_000
  await chat(unseen)
  await revokeKey(pool, ACTOR, 'bot')
  clock.ms += 5_000
  await assert.rejects(chat(apiKey), { status: 401, code: 'invalid_api_key' })
})
