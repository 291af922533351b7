// A real PostgreSQL that stops and comes back, under callers who go on.

import assert from 'node:assert/strict'
import { rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'

import { createKey, revokeKey } from '../../../gateway/administration/keys.ts'
import { EmbeddedPostgres } from '../../../gateway/db/embedded.ts'
import { createPool } from '../../../gateway/db/pool.ts'
import { startAdmin } from '../../support/admin.ts'
import { makeFolder } from '../../support/folder.ts'
import { CHAT } from '../../support/gateway.ts'
import { defer } from '../../support/lasting.ts'
import { recordLog } from '../../support/logger.ts'

const ACTOR = { id: null, name: 'tests', via: 'command_line' as const }

test('no valid key is refused while PostgreSQL is stopped, and what was changed since counts when it is back', async (t) => {
  const { logger } = recordLog()
  const dataDir = await makeFolder(t)
  // Its socket lies elsewhere each time; the pool's address stays.
  const host = join(await makeFolder(t), 'socket')
  const start = async () => {
    const started = await EmbeddedPostgres.start({ dataDir, logger, isDurable: false })
    await rm(host, { force: true })
    await symlink(started.connection.host!, host)
    return started
  }
  let server = await start()
  defer(t, () => server.stop())
  const pool = createPool({ ...server.connection, host }, logger)
  defer(t, () => pool.end())

  const clock = { ms: Date.now() }
  const deps = { now: () => clock.ms }
  const settings = { authGraceMs: 600_000 }
  const { client, ask } = await startAdmin(t, pool, { deps, settings })
  const { key: apiKey } = await createKey(pool, ACTOR, { name: 'bot' })
  const { key: unseen } = await createKey(pool, ACTOR, { name: 'unseen' })
  const chat = (key: string) => client.withOptions({ apiKey: key }).chat.completions.create(CHAT)
  await chat(apiKey)

  await server.stop()
  for (let minute = 0; minute < 9; minute++) {
    clock.ms += 60_000
    await Promise.all(Array.from({ length: 20 }, () => chat(apiKey)))
  }
  await assert.rejects(chat(unseen), { status: 503, code: 'key_check_unavailable' })
  assert.equal((await ask('GET', '/admin/keys')).status, 503)

  server = await start()
  clock.ms += 1_000
  await chat(unseen)
  await revokeKey(pool, ACTOR, 'bot')
  clock.ms += 5_000
  await assert.rejects(chat(apiKey), { status: 401, code: 'invalid_api_key' })
})
