// Versions that are adapters, and the base whose engine they are in.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Loading } from '../../../gateway/deployments/loading.ts'
import { Residency } from '../../../gateway/deployments/residency.ts'
import { startFleet } from '../../support/deployed-gateway.ts'
import { recordLog } from '../../support/logger.ts'
import { usePostgres } from '../../support/postgres.ts'
import { eventually } from '../../support/runtime.ts'
import { addTinyVersion } from '../../support/tiny-version.ts'
import type { HostStats } from '../../../runtime/protocol.ts'

const postgres = usePostgres()

test('a base that was displaced stays while a live adapter is in it, and a displaced adapter goes', async (t) => {
  const fleet = await startFleet(t, postgres)
  const { deploy, deployments } = await fleet.replica()
  const versions: string[] = []
  for (const seed of [1, 2, 3]) {
    versions.push(await addTinyVersion(fleet.dataDir, 'guide', { seed }))
    await deploy('guide', { action: 'deploy', version: versions.at(-1) })
  }
  const [base, displaced, live] = versions
  await eventually('the last is live', () => deployments.residency.isWanted(live!))
  // As if two of them were adapters of the first, which is at work for the one that is live.
  const stats = await fleet.runtime.stats()
  const engine = { ...stats.engines[0]!, version: base! }
  const engines = [{ ...engine, running: 1, adapters: [displaced!, live!] }]
  const unloaded: string[] = []
  const residency = new Residency({
    pool: fleet.pool,
    live: deployments.live,
    runtime: {
      stats: (): Promise<HostStats> => Promise.resolve({ ...stats, engines }),
      unload: async (version) => void unloaded.push(version),
    },
    keepMs: 0,
    reach: () => {},
    logger: recordLog().logger,
  })
  await residency.look()
  assert.deepEqual(unloaded, [displaced])
  engines[0] = { ...engine, adapters: [live!] }
  await residency.look()
  assert.deepEqual(unloaded, [displaced])
  engines[0] = { ...engine, adapters: [] }
  await residency.look()
  assert.deepEqual(unloaded, [displaced, base])
})

test('a base does not make room for its successor while an adapter of it is live elsewhere', async (t) => {
  const fleet = await startFleet(t, postgres)
  const { deploy, deployments } = await fleet.replica()
  const live = await addTinyVersion(fleet.dataDir, 'guide', { seed: 1 })
  await deploy('guide', { action: 'deploy', version: live })
  await eventually('it is live', () => deployments.residency.isWanted(live))
  const stats = await fleet.runtime.stats()
  const [engine] = stats.engines
  const engines = [
    { ...engine!, version: 'base@1', adapters: [live] },
    { ...engine!, version: 'base@2', adapters: [] },
    // … on another host, which has no adapter of it
    { ...engine!, version: 'base@1', adapters: [] },
  ]
  const unloaded: string[] = []
  const loading = new Loading({
    live: deployments.live,
    residency: deployments.residency,
    runtime: {
      stats: () => Promise.resolve({ ...stats, engines }),
      load: () => Promise.resolve(),
      unload: async (version) => void unloaded.push(version),
    },
    room: () => Promise.resolve(null),
    reach: () => {},
    logger: recordLog().logger,
  })
  const targets = [{ version: 'base@3', weight: 1 }]
  const state = { targets, canary: null, shadow: null, fallbacks: [], sticky: 'caller' as const }
  assert.equal(await loading.load('base', state, [], true), null)
  assert.deepEqual(unloaded, ['base@2'])
})
