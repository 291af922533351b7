// "What served at T?" and "which deployment made this exchange?" have the same answer, for every exchange of a history.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { findDeploymentAt, findDeploymentOfExchange } from '../../../gateway/db/deployments.ts'
import { versionsOf } from '../../../gateway/deployments/next-state.ts'
import { startFleet } from '../../support/deployed-gateway.ts'
import { usePostgres } from '../../support/postgres.ts'
import { randomSource } from '../../support/random-checkpoint.ts'
import { addTinyVersion } from '../../support/tiny-version.ts'

const postgres = usePostgres()

const DEPLOYMENTS = 200
const VERSIONS = ['guide@1', 'guide@2', 'guide@3']

test('what served at a time is right for every exchange of a random history of 200 deployments', async (t) => {
  const fleet = await startFleet(t, postgres)
  for (const seed of [1, 2, 3]) await addTinyVersion(fleet.dataDir, 'guide', { seed })
  const { chat, deployments, exchangeLog, ask } = await fleet.replica()
  const { switchboard, live } = deployments
  const seed = Math.floor(Math.random() * 2 ** 31)
  t.diagnostic(`seed ${seed}`)
  const source = randomSource(seed)
  const random = () => (source() + 1) / 2
  const pick = <T>(of: readonly T[]) => of[Math.floor(random() * of.length)]!
  const asked = { actor: { id: null, name: 'test', via: 'api' as const } }
  const change = async () => {
    const others = VERSIONS.filter((v) => v !== live.find('guide')?.state.targets[0]?.version)
    const version = pick(others)
    switch (pick(['deploy', 'deploy', 'canary', 'weights', 'rollback', 'promote', 'bad'])) {
      case 'canary':
        return switchboard.deploy(
          'guide',
          { action: 'canary', version, share: 0.5, steps: [1] },
          asked,
        )
      case 'weights': {
        const targets = VERSIONS.map((each) => ({
          version: each,
          weight: 1 + Math.floor(random() * 9),
        }))
        return switchboard.deploy('guide', { action: 'weights', targets }, asked)
      }
      case 'rollback':
        return switchboard.rollback('guide', null, asked)
      case 'promote':
        return switchboard.deploy('guide', { action: 'promote' }, asked)
      case 'bad':
        return switchboard.deploy('guide', { action: 'deploy', version: 'guide@7' }, asked)
      default:
        return switchboard.deploy('guide', { action: 'deploy', version }, asked)
    }
  }

  await chat('guide')
  const exchanges: { id: string; version: string | null; deployment: number | null }[] = []
  while ((live.find('guide')?.number ?? 0) < DEPLOYMENTS) {
    // What is refused changes nothing.
    await change().catch(() => {})
    if (random() < 0.25) {
      exchanges.push(
        await chat('guide', { max_tokens: 1 }, { 'x-headrace-session': String(random()) }),
      )
    }
  }
  await exchangeLog.flush()

  const { rows } = await fleet.pool.query<{ id: string; at: Date; version: string }>(
    'SELECT id, started_at AS at, version FROM exchanges',
  )
  const told = new Map(rows.map((row) => [row.id, row]))
  assert.ok(exchanges.length > 20)
  for (const { id, version, deployment } of exchanges) {
    const { at, version: logged } = told.get(id)!
    const [served, made] = await Promise.all([
      findDeploymentAt(fleet.pool, 'guide', at),
      findDeploymentOfExchange(fleet.pool, id),
    ])
    assert.equal(served?.id, made?.id, `exchange ${id}`)
    assert.deepEqual([made?.id, logged], [deployment, version])
    assert.ok(versionsOf(made!.state).includes(version!), 'a version that the state names answered')
  }

  const { id, deployment } = exchanges.at(-1)!
  const { body } = await ask('GET', `/admin/exchanges/${id}/deployment`)
  assert.equal(body['id'], deployment)
  const time = encodeURIComponent(told.get(id)!.at.toISOString())
  const { body: at } = await ask('GET', `/admin/models/guide/deployments/at?time=${time}`)
  assert.equal(at['id'], deployment)
  const { body: found } = await ask('GET', `/admin/exchanges?deployment=${deployment}`)
  assert.ok((found['data'] as { id: string }[]).some((each) => each.id === id))
  const early = await ask('GET', '/admin/models/guide/deployments/at?time=2020-01-01T00:00:00Z')
  assert.equal(early.status, 404)
})

test('no entry of the ledger can be changed or deleted', async (t) => {
  const fleet = await startFleet(t, postgres)
  await addTinyVersion(fleet.dataDir, 'guide')
  const { deployments } = await fleet.replica()
  await deployments.adoption.adopt('guide')
  for (const statement of [
    "UPDATE deployments SET reason = 'other'",
    'DELETE FROM deployments',
    'TRUNCATE deployments',
  ]) {
    await assert.rejects(fleet.pool.query(statement), /neither changed nor deleted/)
  }
})
