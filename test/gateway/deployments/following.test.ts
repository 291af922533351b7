// What replicas take for live where the tables are away, or are other ones when they come back.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { Follower } from '../../../gateway/db/follower.ts'
import { migrate } from '../../../gateway/db/migrate.ts'
import { Ledger } from '../../../gateway/deployments/ledger.ts'
import { LiveDeployments } from '../../../gateway/deployments/live.ts'
import { defer } from '../../support/lasting.ts'
import { recordLog } from '../../support/logger.ts'
import { startStoppingPostgres, usePostgres } from '../../support/postgres.ts'
import type { DeploymentDraft } from '../../../gateway/db/deployments.ts'
import type { Pool } from '../../../gateway/db/pool.ts'

const postgres = usePostgres()

const draftOf = (version: string, basedOn: number | null): DeploymentDraft => ({
  model: version.split('@')[0]!,
  action: 'deploy',
  state: {
    targets: [{ version, weight: 1 }],
    canary: null,
    shadow: null,
    fallbacks: [],
    sticky: 'session',
  },
  basedOn,
  restores: null,
  reason: null,
  actor: { id: null, name: 'ada', via: 'api' },
})

async function open(t: TestContext, pool: Pool) {
  await migrate(pool)
  const ledger = new Ledger({ pool, announce: async () => {} })
  const { logger } = recordLog()
  const follow = async (more: object = {}) => {
    const live = await LiveDeployments.open({ pool, logger, pollMs: 20, ...more })
    defer(t, () => live.close())
    return live
  }
  return { ledger, follow }
}

test('what a database lost when another took over is live no more', async (t) => {
  const pool = await postgres.pool(t)
  const { ledger, follow } = await open(t, pool)
  await ledger.append(draftOf('guide@1', null))
  await ledger.append(draftOf('guide@2', 1))
  await ledger.append(draftOf('other@1', null))
  const live = await follow({ pollMs: 60_000 })
  // A standby that had not followed to the end: it never saw the last entries.
  await pool.query(
    `ALTER TABLE deployments DISABLE TRIGGER ALL; DELETE FROM deployments WHERE id > 1;
     ALTER TABLE deployments ENABLE TRIGGER ALL`,
  )
  // As in the first moment, also when somebody else was quicker to write to it.
  await ledger.append(draftOf('third@1', null))
  await live.refresh()
  assert.equal(live.find('guide')?.state.targets[0]?.version, 'guide@1')
  assert.equal(live.find('other'), null)
  assert.equal(live.find('third')?.number, 1)
})

test('whoever waits for a switch that can not be seen any more waits no longer', async (t) => {
  const { pool, stop } = await startStoppingPostgres(t)
  const { ledger, follow } = await open(t, pool)
  await ledger.append(draftOf('guide@1', null))
  await ledger.begin(draftOf('guide@2', 1), true)
  const live = await follow({ heldUnseenMs: 200 })
  assert.equal(live.isHeld('guide'), true)
  const waiting = live.whenReleased('guide', 8_000)
  await stop()
  const startedMs = performance.now()
  assert.equal(await waiting, true)
  assert.ok(performance.now() - startedMs < 4_000, 'and not until its patience has ended')
})

test('whoever asks for a look while one ends gets another', async (t) => {
  const pool = await postgres.pool(t)
  let looks = 0
  const again: Promise<void>[] = []
  const follower = new Follower({
    pool,
    channel: 'test',
    pollMs: 60_000,
    read: () => {
      looks++
      const read = Promise.resolve(true)
      // As late as may be: what was read is known, and that nobody asked meanwhile.
      if (looks === 1) void read.then(() => {}).then(() => again.push(follower.refresh()))
      return read
    },
  })
  defer(t, () => follower.close())
  await follower.refresh()
  await Promise.all(again)
  assert.equal(looks, 2)
})
