import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { canaryStatusOf } from '../../../gateway/canary/status.ts'
import { listDeployments, listLiveDeployments } from '../../../gateway/db/deployments.ts'
import { usePostgres } from '../../support/postgres.ts'
import { insertTrialRows, startTrials, TESTER, times } from '../../support/trials.ts'
import type { Guards } from '../../../gateway/deployments/state.ts'
import type { TrialRow } from '../../support/trials.ts'

const postgres = usePostgres()
const LIVE = 'guide@1'
const CANARY = 'guide@2'
const BAKE_S = 60

async function startCanary(t: TestContext, guards: Guards) {
  const trials = await startTrials(t, postgres)
  const { pool, switchboard, clock, controllerOf } = trials
  const request = { action: 'canary', version: CANARY, bakeSeconds: BAKE_S, guards } as const
  const began = await switchboard.deploy('guide', request, TESTER)
  const controller = controllerOf()
  const history = async () => {
    const { rows } = await listDeployments(pool, 'guide', { before: null, limit: 20 })
    return rows.map(({ action, state }) => [action, state.canary?.share ?? null])
  }
  const bake = () => void (clock.aheadMs += BAKE_S * 1000)
  return { ...trials, controller, history, bake, began }
}

const attemptOf = (version: string, error: string | null) => ({
  version,
  upstream: 'far',
  ms: 5,
  error,
  detail: null,
})

test('an exchange counts for whoever answered it or failed at it, and for nobody else', async (t) => {
  const { insert, figures } = await startCanary(t, { errorRate: 0.1 })
  const fellBack = [attemptOf(CANARY, 'upstream_error'), attemptOf(LIVE, null)]
  const cantDo = [attemptOf(CANARY, 'unsupported_parameter'), attemptOf(LIVE, null)]
  await insert([
    ...times(5, { version: LIVE }),
    ...times(4, { version: CANARY }),
    // answered by the live version, after the canary had failed at it
    ...times(3, { version: LIVE, attempts: fellBack }),
    ...times(2, { version: CANARY, outcome: 'failed', errorCode: 'upstream_timeout' }),
    { version: CANARY, outcome: 'cancelled' },
    // none of theirs: what the client did wrong, this side's end, what was asked for by name, or asked of nobody
    { version: LIVE, attempts: cantDo },
    { version: CANARY, outcome: 'refused', errorCode: 'context_length_exceeded' },
    { version: CANARY, outcome: 'failed', errorCode: 'shut_down' },
    { version: CANARY, deployment: null },
    { version: CANARY, cache: 'hit' },
    { version: 'guide@9' },
  ])
  const { canary, live } = await figures()
  assert.deepEqual(canary.errors, { count: 5, of: 10 })
  assert.deepEqual(live.errors, { count: 0, of: 9 })
  // Times that hold what another one took are nobody's.
  assert.equal(canary.total.count, 5)
  assert.equal(live.total.count, 5)
})

test('what was asked under a declared name counts by its deployment, and no other model does', async (t) => {
  const { pool, switchboard, began, figures } = await startCanary(t, { errorRate: 0.1 })
  const asked = { action: 'deploy' as const, version: 'other@1', fallbacks: [LIVE] }
  const other = await switchboard.deploy('other', asked, TESTER)
  await insertTrialRows(pool, 'declared', began.id, [
    ...times(3, { version: LIVE }),
    ...times(2, { version: CANARY }),
  ])
  await insertTrialRows(pool, 'other', other.id, times(7, { version: LIVE }))
  const { canary, live } = await figures()
  assert.deepEqual([canary.errors.of, live.errors.of], [2, 3])
})

test('figures are shares, percentiles and mean scores of each side', async (t) => {
  const { insert, figures } = await startCanary(t, { timeToFirstToken: 2, total: 1.5 })
  const ladder = (version: string, step: number) =>
    Array.from({ length: 100 }, (_, i) => ({
      version,
      firstMs: (i + 1) * step,
      totalMs: (i + 1) * step * 10,
    }))
  await insert([...ladder(LIVE, 1), ...ladder(CANARY, 3)])
  await insert([
    // left before its first token: it waited that long at least
    { version: CANARY, outcome: 'cancelled', firstMs: null, totalMs: 9_000 },
    { version: CANARY, finishReason: 'content_filter', thumb: 'down' },
    { version: CANARY, thumb: 'up' },
    { version: LIVE, thumb: 'up' },
  ])
  const { canary, live, above } = await figures()
  assert.deepEqual(live.timeToFirstToken, { count: 101, p95: 96 })
  assert.equal(canary.timeToFirstToken.count, 103)
  assert.equal(above.timeToFirstToken, 300 / 3 - 192 / 3 + 1)
  assert.equal(
    above.total,
    100 - 1_440 / 30 + 1,
    'twice 960 ms is not looked at, one and a half is',
  )
  assert.deepEqual(canary.refusals, { count: 1, of: 102 })
  assert.deepEqual(canary.feedback, { count: 2, sum: 1, squares: 1 })
  assert.deepEqual(live.feedback, { count: 1, sum: 1, squares: 1 })
})

const GUARDS: Guards = {
  errorRate: 0.02,
  timeToFirstToken: 1.5,
  total: 1.5,
  feedback: 0.1,
  refusalRate: 0.05,
}
const spread = (
  version: string,
  count: number,
  more: (i: number) => Partial<TrialRow> = () => ({}),
) =>
  Array.from({ length: count }, (_, i) => ({
    version,
    firstMs: 80 + (i % 40),
    totalMs: 900 + (i % 100) * 4,
    thumb: i % 2 === 0 ? ('up' as const) : null,
    ...more(i),
  }))

const BAD: [string, (i: number) => Partial<TrialRow>, RegExp][] = [
  [
    'errorRate',
    (i) => (i % 2 ? { outcome: 'failed', errorCode: 'upstream_error' } : {}),
    /share of failed exchanges 50 % of 60 against 0 % of 400/,
  ],
  [
    'refusalRate',
    (i) => (i % 2 ? { finishReason: 'content_filter' } : {}),
    /share of refused answers 50 % of 60/,
  ],
  [
    'timeToFirstToken',
    () => ({ firstMs: 500 }),
    /95th percentile of the time to the first token 500 ms of 60/,
  ],
  ['total', () => ({ totalMs: 5_000 }), /95th percentile of the total time 5000 ms of 60/],
  ['feedback', () => ({ thumb: 'down' }), /mean feedback score 0 of 60 against 1 of 200/],
]

test('a canary that is bad for one guard is taken back by that one, and the ledger says why', async (t) => {
  const trial = await startCanary(t, GUARDS)
  const { controller, pool, messages, switchboard } = trial
  let [version, began] = [CANARY, trial.began]
  for (const [guard, manner, words] of BAD) {
    const rows = [...spread(LIVE, 400), ...spread(version, 60, manner)]
    await insertTrialRows(pool, 'guide', began.id, rows)
    await controller.look()
    const [entry] = (await listLiveDeployments(pool, 'guide')).toReversed()
    assert.deepEqual([entry?.action, entry?.restores], ['rollback', 1], guard)
    assert.deepEqual(entry?.state.targets, [{ version: LIVE, weight: 1 }])
    assert.deepEqual(entry.actor, { id: null, name: 'canary', via: 'gateway' })
    assert.match(entry.reason!, words)
    assert.match(entry.reason!, /^guide@\d was taken back: .* p = .*alarm at 0\.005\)\.$/)
    assert.deepEqual([...controller.rolledBack].at(-1), {
      model: 'guide',
      version,
      guard,
      count: 1,
    })
    assert.ok(messages().some((message) => message.includes(`${version} was taken back`)))
    const status = await canaryStatusOf(pool, 'guide', new Date())
    assert.equal(status?.trial, null)
    assert.deepEqual([status?.verdict?.began, status?.verdict?.ended], [began.number, entry.number])

    version = `guide@${entry.number}`
    const request = { action: 'canary', version, bakeSeconds: BAKE_S, guards: GUARDS } as const
    began = await switchboard.deploy('guide', request, TESTER)
  }
})

test('a good canary walks its steps, each after its time, up to the last', async (t) => {
  const { controller, history, insert, bake, pool, clock } = await startCanary(t, GUARDS)
  await controller.look()
  assert.equal((await history()).length, 2, 'nobody has answered anything yet')
  bake()
  await controller.look()
  assert.equal((await history()).length, 2, 'time alone is not enough')
  const waiting = await canaryStatusOf(pool, 'guide', new Date(Date.now() + clock.aheadMs))
  assert.ok(waiting?.trial)
  assert.deepEqual(waiting.next, {
    action: 'wait',
    towards: 'step',
    share: 0.25,
    until: new Date(waiting.trial.step.at.getTime() + BAKE_S * 1000),
    missing: [
      { what: 'canary_sample', have: 0, need: 50 },
      { what: 'live_sample', have: 0, need: 50 },
    ],
  })
  // The controller's clock stays ahead of the ledger's: each step is over as soon as both have their sample.
  for (let step = 0; step < 3; step++) {
    await insert([...spread(LIVE, 400), ...spread(CANARY, 60)])
    await controller.look()
    await controller.look()
    assert.equal((await history()).length, 3 + step, 'each step has a sample of its own')
  }
  assert.deepEqual((await history()).slice(0, 4), [
    ['promote', null],
    ['step', 0.5],
    ['step', 0.25],
    ['canary', 0.05],
  ])
  const [entry] = (await listLiveDeployments(pool, 'guide')).toReversed()
  assert.deepEqual(entry?.state.targets, [{ version: CANARY, weight: 1 }])
  assert.match(entry.reason!, /kept to its guards at 50 % for 60 s; 60 exchanges\./)
  const { rows } = await pool.query<{ ended: number }>('SELECT ended FROM canary_verdicts')
  assert.deepEqual(rows, [{ ended: entry.number }])
})

test('a step takes its time, whatever the sample', async (t) => {
  const { controller, history, insert, bake } = await startCanary(t, GUARDS)
  await insert([...spread(LIVE, 400), ...spread(CANARY, 60)])
  await controller.look()
  assert.equal((await history()).length, 2)
  bake()
  await controller.look()
  assert.deepEqual((await history())[0], ['step', 0.25])
})

test('a controller that starts anew goes on where the last one was, with the looks it had', async (t) => {
  const { controller, controllerOf, insert, pool } = await startCanary(t, GUARDS)
  await insert([...spread(LIVE, 400), ...spread(CANARY, 60)])
  await controller.look()
  const looksOf = async () => {
    const status = await canaryStatusOf(pool, 'guide', new Date())
    return status?.verdict?.guards.map(({ looks }) => looks)
  }
  assert.deepEqual(await looksOf(), [1, 1, 1, 1, 1])
  const next = controllerOf()
  await next.look()
  assert.deepEqual(await looksOf(), [1, 1, 1, 1, 1], 'the sample is the same')
  await insert(spread(CANARY, 60))
  await next.look()
  assert.deepEqual(await looksOf(), [2, 2, 2, 2, 2])
})

test('of several gateways one looks', async (t) => {
  const { controllerOf, insert, history } = await startCanary(t, GUARDS)
  await insert([
    ...spread(LIVE, 400),
    ...spread(CANARY, 60, () => ({ outcome: 'failed', errorCode: 'engine_lost' })),
  ])
  const replicas = [controllerOf(), controllerOf(), controllerOf()]
  await Promise.all(replicas.map((replica) => replica.look()))
  assert.equal((await history()).filter(([action]) => action === 'rollback').length, 1)
  assert.equal(replicas.flatMap(({ rolledBack }) => [...rolledBack]).length, 1)
})

test('a canary that is begun anew is judged by what it answered since', async (t) => {
  const { controller, insert, pool, switchboard, history } = await startCanary(t, GUARDS)
  const failing = spread(CANARY, 60, () => ({ outcome: 'failed', errorCode: 'engine_lost' }))
  await insert([...spread(LIVE, 400), ...failing])
  await controller.look()
  const again = { action: 'canary', version: CANARY, guards: GUARDS } as const
  await switchboard.deploy('guide', again, TESTER)
  await controller.look()
  assert.deepEqual((await history())[0], ['canary', 0.05])
  const status = await canaryStatusOf(pool, 'guide', new Date())
  assert.equal(status?.verdict?.canarySample, 0)
})
