// Versions deployed, tried out, promoted and taken back by the API: real PostgreSQL, real engines.

import assert from 'node:assert/strict'
import { chmod, writeFile } from 'node:fs/promises'
import { test } from 'node:test'

import { errorOf, rowsOf } from '../../support/admin.ts'
import { startFleet } from '../../support/deployed-gateway.ts'
import { usePostgres } from '../../support/postgres.ts'
import { eventually } from '../../support/runtime.ts'
import { addTinyVersion } from '../../support/tiny-version.ts'

const postgres = usePostgres()

test('a newer version gets no traffic before it is deployed, and a rollback takes it back', async (t) => {
  const fleet = await startFleet(t, postgres)
  const first = await addTinyVersion(fleet.dataDir, 'guide', { seed: 1 })
  const { ask, chat, deploy, rollback } = await fleet.replica()

  const adopted = await chat('guide')
  assert.deepEqual([adopted.status, adopted.version], [200, first])
  const second = await addTinyVersion(fleet.dataDir, 'guide', { seed: 2 })
  assert.equal((await chat('guide')).version, first)

  const { status, body } = await deploy('guide', {
    action: 'deploy',
    version: second,
    reason: 'better answers',
  })
  assert.equal(status, 200, JSON.stringify(body))
  assert.deepEqual(
    [body['number'], body['action'], body['outcome'], body['based_on'], body['reason']],
    [2, 'deploy', 'live', 1, 'better answers'],
  )
  const deployed = await chat('guide')
  assert.deepEqual([deployed.version, deployed.deployment], [second, body['id']])
  assert.notEqual(deployed.text, adopted.text)

  const back = await rollback('guide', { reason: 'worse answers' })
  assert.equal(back.status, 200, JSON.stringify(back.body))
  assert.deepEqual([back.body['restores'], back.body['based_on']], [1, 2])
  assert.equal((await chat('guide')).version, first)
  assert.equal((await chat(second)).version, second, 'a pinned version answers whatever is live')
  assert.equal((await chat(second)).deployment, null)

  const history = rowsOf(await ask('GET', '/admin/models/guide/deployments'))
  assert.deepEqual(
    history.map(({ number, action, actor }) => [number, action, (actor as { name: string }).name]),
    [
      [3, 'rollback', 'admin'],
      [2, 'deploy', 'admin'],
      [1, 'adopt', 'headrace'],
    ],
  )
  const audit = rowsOf(await ask('GET', '/admin/audit?kind=deployment'))
  assert.deepEqual(
    audit.map(({ action }) => action),
    ['deployment.rollback', 'deployment.deploy', 'deployment.adopt'],
  )
})

test('a rollback needs no body', async (t) => {
  const fleet = await startFleet(t, postgres)
  const first = await addTinyVersion(fleet.dataDir, 'guide', { seed: 1 })
  const { chat, deploy, url } = await fleet.replica()
  assert.equal((await chat('guide')).version, first)
  const second = await addTinyVersion(fleet.dataDir, 'guide', { seed: 2 })
  assert.equal((await deploy('guide', { action: 'deploy', version: second })).status, 200)
  const back = await fetch(`${url}/admin/models/guide/rollback`, {
    method: 'POST',
    headers: { authorization: 'Bearer an-admin-key' },
  })
  assert.equal(back.status, 200, await back.text())
  assert.equal((await chat('guide')).version, first)
})

test('of two who deploy at once the second is told what changed, and nothing is half applied', async (t) => {
  const fleet = await startFleet(t, postgres)
  await addTinyVersion(fleet.dataDir, 'guide', { seed: 1 })
  const second = await addTinyVersion(fleet.dataDir, 'guide', { seed: 2 })
  const third = await addTinyVersion(fleet.dataDir, 'guide', { seed: 3 })
  const here = await fleet.replica()
  const there = await fleet.replica()
  await eventually(
    'the newest is adopted',
    async () => (await here.chat('guide')).version === third,
  )
  const outcomes = await Promise.all([
    here.deploy('guide', { action: 'deploy', version: second, reason: 'one' }),
    there.deploy('guide', { action: 'deploy', version: 'guide@1', reason: 'other' }),
  ])
  const [won, lost] = outcomes.toSorted((a, b) => a.status - b.status)
  assert.deepEqual([won!.status, lost!.status], [200, 409])
  const { code, message } = errorOf(lost!)
  assert.equal(code, 'deployment_conflict')
  assert.match(message, /admin/)
  const stale = errorOf(await here.rollback('guide', { if_live: 1 }))
  assert.equal(stale.code, 'deployment_conflict')
  assert.match(
    stale.message,
    /number 1 was live of 'guide'; now number 2 is: deploy by admin at .*, “(one|other)”/,
  )
  assert.equal(rowsOf(await here.ask('GET', '/admin/models/guide/deployments')).length, 2)
  const { rows } = await fleet.pool.query('SELECT 1 FROM deployment_attempts')
  assert.equal(rows.length, 0)
})

test('every replica follows within two seconds, also where calls are lost', async (t) => {
  const fleet = await startFleet(t, postgres)
  await addTinyVersion(fleet.dataDir, 'guide', { seed: 1 })
  const here = await fleet.replica()
  const there = await fleet.replica()
  await eventually('it is adopted', async () => (await there.chat('guide')).deployment !== null)
  const second = await addTinyVersion(fleet.dataDir, 'guide', { seed: 2 })
  // As a pooler does it that swallows calls.
  await fleet.pool.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND query LIKE 'LISTEN headrace_deployments%'`,
  )
  const { status } = await here.deploy('guide', { action: 'deploy', version: second })
  assert.equal(status, 200)
  await eventually(
    'the other replica follows',
    async () => (await there.chat('guide')).version === second,
    2_000,
  )
})

test('a version that can not be loaded gets no traffic, and the ledger says why', async (t) => {
  const fleet = await startFleet(t, postgres)
  const first = await addTinyVersion(fleet.dataDir, 'guide', { seed: 1 })
  const { ask, chat, deploy } = await fleet.replica()
  await chat('guide')
  const second = await addTinyVersion(fleet.dataDir, 'guide', { seed: 2 })
  const graph = `${fleet.dataDir}/models/guide/2/model.onnx`
  await chmod(graph, 0o644)
  await writeFile(graph, 'no graph')
  const refused = await deploy('guide', { action: 'deploy', version: second, reason: 'try' })
  assert.equal(errorOf(refused).code, 'deployment_failed')
  assert.equal(refused.status, 422)
  assert.equal((await chat('guide')).version, first)
  const [failed] = rowsOf(await ask('GET', '/admin/models/guide/deployments'))
  assert.deepEqual([failed!['number'], failed!['outcome']], [2, 'failed'])
  assert.match(String(failed!['error']), /guide@2/)
  const { body: live } = await ask('GET', '/admin/models/guide/live')
  assert.equal(live['number'], 1)
  assert.deepEqual(await fleet.loaded(), [first])
})
