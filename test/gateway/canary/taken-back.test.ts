// What becomes of a canary where what its guards decided on can't be done at once.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { CanaryController } from '../../../gateway/canary/controller.ts'
import { canaryStatusOf } from '../../../gateway/canary/status.ts'
import { findLiveDeployment } from '../../../gateway/db/deployments.ts'
import { GatewayError } from '../../../gateway/errors.ts'
import { usePostgres } from '../../support/postgres.ts'
import { insertTrialRows, startTrials, TESTER, times } from '../../support/trials.ts'

const postgres = usePostgres()

test('it is tried again at the next look, with the figures of the alarm, and the log says what it is about', async (t) => {
  const { pool, live, switchboard, logger, messages } = await startTrials(t, postgres)
  const request = { action: 'canary', version: 'guide@2', guards: { errorRate: 0.01 } } as const
  const { id } = await switchboard.deploy('guide', request, TESTER)
  const failed = { version: 'guide@2', outcome: 'failed', errorCode: 'engine_lost' } as const
  await insertTrialRows(pool, 'guide', id, [
    ...times(200, { version: 'guide@1' }),
    ...times(50, failed),
  ])
  let isAway = true
  const controller = new CanaryController({
    pool,
    live,
    logger,
    switchboard: {
      deploy: (...asked) => switchboard.deploy(...asked),
      rollback: (...asked) => {
        if (isAway) throw new GatewayError('runtime_unreachable', 'The runtime is away.')
        return switchboard.rollback(...asked)
      },
    },
  })
  await controller.look()
  assert.match(messages().join('\n'), /guide@2 was to be taken back and could not be: The runtime/)
  assert.equal([...controller.rolledBack].length, 0)

  await insertTrialRows(pool, 'guide', id, times(500, { version: 'guide@2' }))
  isAway = false
  await controller.look()
  const entry = await findLiveDeployment(pool, 'guide')
  assert.deepEqual([entry?.action, entry?.state.canary], ['rollback', null])
  assert.match(entry?.reason ?? '', /share of failed exchanges 100 % of 50 against 0 % of 200/)
})

test('a step that is refused again and again costs one look, and not one for each time', async (t) => {
  const { pool, live, switchboard, logger, clock } = await startTrials(t, postgres)
  const guards = { errorRate: 0.01 }
  const request = { action: 'canary', version: 'guide@2', bakeSeconds: 60, guards } as const
  const { id } = await switchboard.deploy('guide', request, TESTER)
  const controller = new CanaryController({
    pool,
    live,
    logger,
    now: () => new Date(Date.now() + clock.aheadMs),
    switchboard: {
      rollback: (...asked) => switchboard.rollback(...asked),
      deploy: () => {
        throw new GatewayError('deployment_conflict', 'Somebody has one under way.')
      },
    },
  })
  await insertTrialRows(pool, 'guide', id, times(200, { version: 'guide@1' }))
  await insertTrialRows(pool, 'guide', id, times(100, { version: 'guide@2' }))
  await controller.look()
  clock.aheadMs += 60_000
  for (let i = 0; i < 6; i++) {
    await insertTrialRows(pool, 'guide', id, times(1, { version: 'guide@2' }))
    await controller.look()
  }
  const status = await canaryStatusOf(pool, 'guide', new Date())
  assert.equal(status?.verdict?.guards[0]?.looks, 2)
})
