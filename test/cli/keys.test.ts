import assert from 'node:assert/strict'
import test from 'node:test'

import { makeFolder } from '../support/folder.ts'
import { processesOf, runHeadrace } from '../support/process.ts'
import { startServedFolder } from '../support/served-folder.ts'

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
  const { run, pid } = await startServedFolder(t)
  const made = await run('keys', 'create', 'bot', '--role', 'admin')
  assert.equal(made.code, 0, made.stderr)
  const listed = await run('keys', 'list', '--json')
  const [key] = JSON.parse(listed.stdout) as { name: string; role: string }[]
  assert.deepEqual([key?.name, key?.role], ['bot', 'admin'])
  process.kill(pid, 0)
})
