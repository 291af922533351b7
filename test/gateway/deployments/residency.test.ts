// What stays loaded, what is ended, and what happens where there is no room for both: real engines.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { errorOf } from '../../support/admin.ts'
import { startFleet } from '../../support/deployed-gateway.ts'
import { usePostgres } from '../../support/postgres.ts'
import { eventually } from '../../support/runtime.ts'
import { addTinyVersion } from '../../support/tiny-version.ts'

const postgres = usePostgres()

test('a displaced version is kept to go back to, then unloaded; an answer of it is not cut', async (t) => {
  const fleet = await startFleet(t, postgres)
  const first = await addTinyVersion(fleet.dataDir, 'guide', { seed: 1 })
  const keepMs = 1_500
  const { chat, deploy, deployments } = await fleet.replica({ keepMs })
  await chat('guide')
  const second = await addTinyVersion(fleet.dataDir, 'guide', { seed: 2 })
  const long = chat('guide', { max_tokens: 200 })
  await deploy('guide', { action: 'deploy', version: second })
  assert.equal((await long).version, first)
  assert.equal((await long).status, 200)
  assert.deepEqual(await fleet.loaded(), [first, second])
  await eventually('it is told what is wanted', () => {
    const wanted = deployments.residency.wantedVersions()
    const kept = wanted.find(({ version }) => version === first)
    return (
      kept?.until instanceof Date &&
      wanted.some(({ version, until }) => version === second && !until)
    )
  })
  await eventually('it is unloaded', async () => (await fleet.loaded()).join() === second)
  assert.equal((await chat('guide')).version, second)
  // Whoever names it gets it again, and nobody takes it away a second time.
  assert.equal((await chat(first)).status, 200)
  await new Promise((resolve) => setTimeout(resolve, 300))
  assert.deepEqual(await fleet.loaded(), [first, second])
})

test('where memory has no room for both it is said before anything is touched, and replacing keeps requests waiting', async (t) => {
  const fleet = await startFleet(t, postgres)
  const first = await addTinyVersion(fleet.dataDir, 'guide', { seed: 1 })
  const room = async (versions: readonly unknown[]) =>
    versions.length > 0 ? { needBytes: 2_000, freeBytes: 1_000 } : null
  const here = await fleet.replica({ room })
  const there = await fleet.replica({ room })
  await here.chat('guide')
  const second = await addTinyVersion(fleet.dataDir, 'guide', { seed: 2 })
  const refused = errorOf(await here.deploy('guide', { action: 'deploy', version: second }))
  assert.deepEqual([refused.status, refused.code], [409, 'not_enough_memory'])
  assert.match(refused.message, /'replace': true/)
  assert.deepEqual(await fleet.loaded(), [first])

  // Requests come in all the while, at both.
  const over = new AbortController()
  const answers: { status: number; version: string | null }[] = []
  const ask = async (gateway: typeof here) => {
    while (!over.signal.aborted) answers.push(await gateway.chat('guide'))
  }
  const asking = Promise.all([ask(here), ask(there)])
  const { status, body } = await here.deploy('guide', {
    action: 'deploy',
    version: second,
    replace: true,
  })
  await new Promise((resolve) => setTimeout(resolve, 100))
  over.abort()
  await asking
  assert.equal(status, 200, JSON.stringify(body))
  assert.deepEqual(
    answers.filter((answer) => answer.status !== 200),
    [],
  )
  const versions = answers.map(({ version }) => version)
  assert.deepEqual(new Set(versions), new Set([first, second]))
  assert.deepEqual(await fleet.loaded(), [second])
})

test('a switch whose gateway died is closed by another, and what it loaded is ended', async (t) => {
  const fleet = await startFleet(t, postgres)
  const first = await addTinyVersion(fleet.dataDir, 'guide', { seed: 1 })
  const { chat, deployments } = await fleet.replica()
  await chat('guide')
  const second = await addTinyVersion(fleet.dataDir, 'guide', { seed: 2 })
  const live = deployments.live.find('guide')!
  const state = { ...live.state, targets: [{ version: second, weight: 1 }] }
  const actor = { id: null, name: 'ada', via: 'api' as const }
  const draft = { model: 'guide', basedOn: 1, restores: null, reason: null, actor }
  await deployments.ledger.begin({ ...draft, action: 'deploy', state }, true)
  await fleet.runtime.load(second)
  // What died a while ago.
  await fleet.pool.query("UPDATE deployment_attempts SET beat_at = now() - interval '1 minute'")
  await eventually('it is closed', async () => {
    const { rows } = await fleet.pool.query("SELECT 1 FROM deployments WHERE outcome = 'failed'")
    return rows.length === 1
  })
  await eventually('it is ended', async () => (await fleet.loaded()).join() === first)
  assert.equal((await chat('guide')).version, first)
})
