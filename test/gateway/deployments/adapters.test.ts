// Versions that are adapters, and the base whose engine they are in.

import assert from 'node:assert/strict'
import { test } from 'node:test'

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
