import assert from 'node:assert/strict'
import test from 'node:test'

import { EmbeddedPostgres } from '../../gateway/db/embedded.ts'
import { lockDataFolder } from '../../gateway/data-folder.ts'
import { makeFolder } from '../support/folder.ts'
import { defer } from '../support/lasting.ts'
import { recordLog } from '../support/logger.ts'
import { processesOf, runHeadrace } from '../support/process.ts'

test('keys are made, listed and revoked without a server, which leaves nothing running', async (t) => {
  const dataDir = await makeFolder(t)
  const env = { HEADRACE_DATA_DIR: dataDir }
  const made = await runHeadrace(t, ['keys', 'create', 'support-chat'], { env })
  assert.equal(made.code, 0, made.stderr)
  assert.match(made.stdout, /^hr_[\w-]{43}\n$/)

  const listed = await runHeadrace(t, ['keys', 'list'], { env })
  assert.match(listed.stdout, /support-chat\s+caller/)
  assert.ok(!listed.stdout.includes(made.stdout.trim()))
  assert.ok(listed.stdout.includes(made.stdout.slice(0, 9)))

  const revoked = await runHeadrace(t, ['keys', 'revoke', 'support-chat'], { env })
  assert.equal(revoked.code, 0)
  const again = await runHeadrace(t, ['keys', 'revoke', 'support-chat'], { env })
  assert.equal(again.code, 1)
  assert.match(again.stderr, /^headrace: There is no valid key with the id or name 'support-chat'/)
  assert.deepEqual(await processesOf(dataDir), [])
})

test('where a server runs, its database is used', async (t) => {
  const dataDir = await makeFolder(t)
  const lock = await lockDataFolder(dataDir, 'server')
  const { logger } = recordLog()
  const server = await EmbeddedPostgres.start({ dataDir, logger, isDurable: false })
  defer(t, async () => {
    await server.stop()
    lock.release()
  })
  const env = { HEADRACE_DATA_DIR: dataDir }
  const made = await runHeadrace(t, ['keys', 'create', 'bot', '--role', 'admin'], { env })
  assert.equal(made.code, 0, made.stderr)
  const listed = await runHeadrace(t, ['keys', 'list', '--json'], { env })
  const [key] = JSON.parse(listed.stdout) as { name: string; role: string }[]
  assert.deepEqual([key?.name, key?.role], ['bot', 'admin'])
  process.kill(server.pid, 0)
})
