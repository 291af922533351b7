// What a canary is judged by when its share grows: versions are compared where both saw the same hours.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { readFigures } from '../../../gateway/canary/figures.ts'
import { canaryStatusOf } from '../../../gateway/canary/status.ts'
import { trialOf } from '../../../gateway/canary/trial.ts'
import { findLiveDeployment, listLiveDeployments } from '../../../gateway/db/deployments.ts'
import { usePostgres } from '../../support/postgres.ts'
import { startTrials, TESTER, times } from '../../support/trials.ts'
import type { Guards } from '../../../gateway/deployments/state.ts'

const postgres = usePostgres()
const LIVE = 'guide@1'
const CANARY = 'guide@2'

async function startSteps(t: TestContext, guards: Guards) {
  const trials = await startTrials(t, postgres)
  const { pool, switchboard, controllerOf } = trials
  const shares = { share: 0.05, steps: [0.5, 1] }
  await switchboard.deploy(
    'guide',
    { action: 'canary', version: CANARY, ...shares, guards },
    TESTER,
  )
  const verdicts = async () => {
    const status = await canaryStatusOf(pool, 'guide', new Date())
    return status?.verdict?.guards ?? []
  }
  const action = async () => (await findLiveDeployment(pool, 'guide'))?.action
  return { ...trials, controller: controllerOf(), verdicts, action }
}

const failed = { outcome: 'failed', errorCode: 'upstream_error' } as const

test('an hour in which everybody fails is no alarm, although the canary has most of its exchanges in it', async (t) => {
  const trial = await startSteps(t, { errorRate: 0.02, total: 1.5, timeToFirstToken: 1.5 })
  const { controller, insert, switchboard, action } = trial
  await insert([...times(950, { version: LIVE }), ...times(50, { version: CANARY })])
  await controller.look()
  await switchboard.deploy('guide', { action: 'step' }, TESTER)
  // Of all of its exchanges the canary now fails at a quarter, the live version at one of sixteen.
  const slow = { firstMs: 900, totalMs: 9_000 }
  for (const version of [LIVE, CANARY]) {
    await insert([...times(75, { version, ...failed }), ...times(175, { version, ...slow })])
  }
  await controller.look()
  assert.equal(await action(), 'step')
})

test('a guard looks anew at each step, and its looks go on to be counted', async (t) => {
  const { controller, insert, switchboard, verdicts, action } = await startSteps(t, {
    errorRate: 0.02,
  })
  await insert([...times(400, { version: LIVE }), ...times(200, { version: CANARY })])
  await controller.look()
  await switchboard.deploy('guide', { action: 'step' }, TESTER)
  await insert([...times(60, { version: LIVE }), ...times(49, { version: CANARY })])
  await controller.look()
  const [before] = await verdicts()
  assert.deepEqual([before?.looks, before?.canarySample, before?.nextLookAt], [1, 49, 50])
  await insert(times(1, { version: CANARY }))
  await controller.look()
  const [after] = await verdicts()
  assert.deepEqual([after?.looks, after?.lookedAt, after?.alpha], [2, 50, 0.01 / 6])
  assert.equal(await action(), 'step')
})

test('what people say counts for all of the trial: it is little, and comes late', async (t) => {
  const { insert, switchboard, figures } = await startSteps(t, { feedback: 0.1 })
  await insert([
    ...times(12, { version: LIVE, thumb: 'up' }),
    ...times(7, { version: CANARY, thumb: 'down' }),
  ])
  await switchboard.deploy('guide', { action: 'step' }, TESTER)
  await insert(times(3, { version: CANARY, thumb: 'down' }))
  const { canary, live } = await figures()
  assert.deepEqual(canary.feedback, { count: 10, sum: 0, squares: 0 })
  assert.equal(live.feedback.count, 12)
  assert.deepEqual([canary.errors.of, live.errors.of], [3, 0])
})

test('exchanges of a gateway whose clock is behind count as well', async (t) => {
  const { pool, insert } = await startSteps(t, { errorRate: 0.1 })
  await insert(times(5, { version: CANARY }))
  const trial = trialOf(await listLiveDeployments(pool, 'guide'))
  assert.ok(trial)
  // Ids of exchanges have the time of whoever answered, the entry that of whoever wrote it.
  const at = new Date(trial.began.at.getTime() + 120_000)
  const { canary } = await readFigures(pool, { ...trial, began: { ...trial.began, at } })
  assert.equal(canary.errors.of, 5)
})
