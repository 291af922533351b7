// A rollback while something else is under way, and to states of which something is gone by now.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { openDeployments } from '../../../gateway/deployments/open.ts'
import { migrate } from '../../../gateway/db/migrate.ts'
import { defer } from '../../support/lasting.ts'
import { recordLog } from '../../support/logger.ts'
import { usePostgres } from '../../support/postgres.ts'
import { eventually } from '../../support/runtime.ts'
import { FAR_VERSIONS, TESTER } from '../../support/trials.ts'
import type { Runtime } from '../../../runtime/client.ts'

const postgres = usePostgres()
const NOTHING_LOADED = { engines: [], memory: null } as unknown as Awaited<
  ReturnType<Runtime['stats']>
>

/** Versions are there as long as `gone` doesn't have them; a load of one in `slow` takes until it is let go. */
async function start(t: TestContext) {
  const pool = await postgres.pool(t)
  await migrate(pool)
  const gone = new Set<string>()
  const slow = new Map<string, PromiseWithResolvers<void>>()
  const runtime: Pick<Runtime, 'load' | 'unload' | 'stats'> = {
    load: async (version) => {
      await slow.get(version)?.promise
    },
    unload: async () => {},
    stats: () => Promise.resolve(NOTHING_LOADED),
  }
  const created = '2026-01-01T00:00:00.000Z'
  const deployments = await openDeployments({
    pool,
    runtime,
    versions: {
      ...FAR_VERSIONS,
      find: async (id) => (gone.has(id) ? null : { kind: 'local', created }),
    },
    room: async () => null,
    isDeclared: () => false,
    keepMs: 0,
    logger: recordLog().logger,
  })
  defer(t, () => deployments.close())
  const { switchboard } = deployments
  const deploy = (version: string, fallbacks: string[] = []) =>
    switchboard.deploy('guide', { action: 'deploy', version, fallbacks }, TESTER)
  const rollback = (to: number | null = null) => switchboard.rollback('guide', to, TESTER)
  return { ...deployments, gone, slow, deploy, rollback }
}

test('whoever waits for a switch waits no longer when a rollback has overtaken it', async (t) => {
  const { live, ledger, deploy, rollback } = await start(t)
  await deploy('guide@1')
  const { state, actor } = await deploy('guide@2')
  const draft = { model: 'guide', basedOn: 2, restores: null, reason: null, actor }
  await ledger.begin({ ...draft, action: 'deploy', state }, true)
  await live.refresh()
  assert.equal(live.isHeld('guide'), true)
  const waiting = live.whenReleased('guide', 5_000)
  assert.equal((await rollback()).number, 3)
  assert.equal(live.isHeld('guide'), false, 'what it was begun upon is live no more')
  const startedMs = performance.now()
  assert.equal(await waiting, true)
  assert.ok(performance.now() - startedMs < 1_000)
})

test('a rollback to what is live refuses the deployment that is under way', async (t) => {
  const { live, slow, deploy, rollback } = await start(t)
  await deploy('guide@1')
  const load = Promise.withResolvers<void>()
  slow.set('guide@2', load)
  defer(t, () => load.resolve())
  const deploying = deploy('guide@2')
  deploying.catch(() => {})
  await eventually('it is under way', async () => {
    await live.refresh()
    return live.attempts.length === 1
  })
  const stayed = await rollback(1)
  assert.deepEqual([stayed.number, stayed.action, stayed.restores], [2, 'rollback', 1])
  load.resolve()
  await assert.rejects(deploying, { code: 'deployment_conflict' })
  assert.deepEqual(live.find('guide')?.state.targets, [{ version: 'guide@1', weight: 1 }])
  assert.equal((await rollback(1)).number, 2, 'where nothing is under way nothing is written')
})

test('a rollback goes without fallbacks and shadows that are gone, and says so', async (t) => {
  const { gone, switchboard, deploy, rollback } = await start(t)
  await deploy('guide@3', ['guide@1', 'guide@2'])
  await switchboard.deploy('guide', { action: 'shadow', version: 'other@1' }, TESTER)
  await deploy('guide@4')
  await switchboard.deploy('guide', { action: 'shadow', version: null }, TESTER)
  gone.add('guide@1').add('other@1')
  const { state, restores, reason } = await rollback(2)
  assert.equal(restores, 2)
  assert.deepEqual(state.targets, [{ version: 'guide@3', weight: 1 }])
  assert.deepEqual([state.fallbacks, state.shadow], [['guide@2'], null])
  assert.match(reason ?? '', /Without other@1, guide@1: not there any more\.$/)
})

test('a rollback to a version that is gone is refused, and says which state needs it', async (t) => {
  const { gone, deploy, rollback } = await start(t)
  await deploy('guide@1')
  await deploy('guide@2')
  gone.add('guide@1')
  await assert.rejects(rollback(), {
    code: 'version_not_found',
    message:
      "Number 1 of 'guide' needs 'guide@1', which is not there any more, or may not answer. Nothing was changed; 'to' takes the " +
      'number of any other deployment.',
  })
})
