// The command line moves traffic by asking the server that runs on its data folder.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { commandLineOf } from '../support/command-line.ts'
import { startFleet } from '../support/deployed-gateway.ts'
import { ADMIN_KEY } from '../support/gateway.ts'
import { usePostgres } from '../support/postgres.ts'
import { addTinyVersion } from '../support/tiny-version.ts'

const postgres = usePostgres()

test('versions are deployed, tried out, promoted and taken back from the command line', async (t) => {
  const fleet = await startFleet(t, postgres)
  await addTinyVersion(fleet.dataDir, 'guide', { seed: 1 })
  const { url, ask, chat } = await fleet.replica()
  await chat('guide')
  await addTinyVersion(fleet.dataDir, 'guide', { seed: 2 })
  // As a server leaves them.
  await writeFile(join(fleet.dataDir, 'server-url'), `${url}\n`)
  await writeFile(join(fleet.dataDir, 'admin-key'), `${ADMIN_KEY}\n`)
  const run = commandLineOf({ HEADRACE_DATA_DIR: fleet.dataDir })

  assert.equal(
    await run('canary', 'guide@2', '--share', '5%', '--bake', '1m', '--max-error-rate', '2%'),
    'guide is answered by guide@1, canary guide@2 5% (deployment 2).',
  )
  assert.equal(
    await run('promote', 'guide', '--step'),
    'guide is answered by guide@1, canary guide@2 25% (deployment 3).',
  )
  assert.equal(
    await run('promote', 'guide', '--reason', 'good'),
    'guide is answered by guide@2 (deployment 4).',
  )
  assert.equal(
    await run('shadow', 'guide@1', '--share', '0.1'),
    'guide is answered by guide@2, shadow guide@1 10% (deployment 5).',
  )
  await run('shadow', 'guide', '--off')
  assert.equal(
    await run('deploy', 'guide@1=90', 'guide@2=10', '--sticky', 'user'),
    'guide is answered by guide@1 90%, guide@2 10% (deployment 7).',
  )
  const { body: live } = await ask('GET', '/admin/models/guide/live')
  assert.equal((live['state'] as { sticky: string }).sticky, 'user')
  assert.equal(
    await run('rollback', 'guide', '--to', '1', '--reason', 'enough'),
    'guide is answered by guide@1 (deployment 8).',
  )
  const history = await run('deployments', 'guide', '--limit', '1')
  const [heading, row, more] = history.split('\n')
  assert.equal(more, 'There are more: --before 8')
  assert.match(heading!, /^NUMBER\s+AT\s+ACTION\s+OUTCOME\s+WHO\s+STATE\s+WHY$/)
  const { username } = userInfo()
  assert.match(row!, new RegExp(`^8 .* rollback to 1 +went live +${username} +guide@1 +enough$`))
  await assert.rejects(run('rollback', 'guide', '--if-live', '2'), /number 8 is: rollback by/)
  await assert.rejects(run('deploy', 'guide@9'), /There is no version 'guide@9'/)
})
