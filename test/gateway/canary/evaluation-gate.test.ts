import assert from 'node:assert/strict'
import { randomUUIDv7 } from 'node:crypto'
import { test } from 'node:test'

import { insertEvaluations } from '../../../gateway/db/catalog-evaluations.ts'
import { newestEvaluations } from '../../../gateway/db/requirements.ts'
import { errorOf, rowsOf } from '../../support/admin.ts'
import { usePostgres } from '../../support/postgres.ts'
import { startTrialGateway } from '../../support/trial-gateway.ts'
import type { Measured, Requirement } from '../../../gateway/db/requirements.ts'

const postgres = usePostgres()
const REQUIREMENTS = [
  { dataset: 'triage', metric: 'accuracy', min: 0.9 },
  { dataset: 'latin', metric: 'wer', max: 0.1 },
  { dataset: 'toxic', metric: 'rate', min: 0, max: 0.01 },
]

test('a version that is not measured, or too low, is refused by name; nothing is changed', async (t) => {
  const measured: Measured[] = []
  let requirements: Requirement[] = []
  const { ask, deploy, live } = await startTrialGateway(t, postgres, {
    evaluations: {
      requirementsOf: () => Promise.resolve(requirements),
      evaluationsOf: (version) => Promise.resolve(version === 'guide@2' ? measured : []),
    },
  })
  const path = '/admin/models/guide/requirements'
  const set = await ask('PUT', path, { requirements: REQUIREMENTS })
  assert.equal(set.status, 200, JSON.stringify(set.body))
  assert.deepEqual((await ask('GET', path)).body, set.body)
  requirements = set.body['requirements'] as Requirement[]
  assert.equal(requirements.length, 3)

  measured.push(
    { dataset: 'triage', split: 'test', metric: 'accuracy', value: 0.84 },
    // What it was trained on, measured later.
    { dataset: 'triage', split: 'train', metric: 'accuracy', value: 0.99 },
    { dataset: 'toxic', split: '', metric: 'rate', value: 0.01 },
  )
  for (const action of ['deploy', 'canary']) {
    const refused = errorOf(await deploy({ action, version: 'guide@2' }))
    assert.deepEqual([refused.status, refused.code], [409, 'evaluation_missing'])
    assert.match(
      refused.message,
      /wer on latin of guide@2 was not measured \(required: at most 0\.1\)/,
    )
    assert.match(
      refused.message,
      /accuracy on triage, test, of guide@2 is 0\.84 \(required: at least 0\.9\)/,
    )
    assert.doesNotMatch(refused.message, /toxic/)
  }
  assert.equal(live.find('guide')?.number, 1)
  assert.equal(
    (await deploy({ action: 'shadow', version: 'guide@2' })).status,
    200,
    'nobody sees it',
  )

  const noReason = errorOf(await deploy({ action: 'deploy', version: 'guide@2', override: true }))
  assert.deepEqual([noReason.code, noReason.param], ['missing_required_parameter', 'reason'])
  const override = { override: true, reason: 'The fair is tomorrow.' }
  const overridden = await deploy({ action: 'deploy', version: 'guide@2', ...override })
  assert.match(
    String(overridden.body['reason']),
    /^The fair is tomorrow\. Overridden: .*latin.*triage/,
  )
  const pointless = { to: 1, override: true }
  const refused = errorOf(await ask('POST', '/admin/models/guide/rollback', pointless))
  assert.deepEqual([refused.code, refused.param], ['unknown_parameter', 'override'])
  // Nobody has to measure what answered before to go back to it.
  const back = await ask('POST', '/admin/models/guide/rollback', { to: 1 })
  assert.equal(back.status, 200, JSON.stringify(back.body))

  measured.splice(0, 1, { dataset: 'triage', split: 'test', metric: 'accuracy', value: 0.9 })
  measured.push({ dataset: 'latin', split: '', metric: 'wer', value: 0.1 })
  assert.equal((await deploy({ action: 'canary', version: 'guide@2' })).status, 200)
  assert.equal((await deploy({ action: 'step' })).status, 200)
})

test('requirements make sense, and whoever changes them is in the audit log', async (t) => {
  const { ask } = await startTrialGateway(t, postgres)
  const path = '/admin/models/guide/requirements'
  const put = (...requirements: object[]) => ask('PUT', path, { requirements })
  const one = { dataset: 'triage', metric: 'accuracy', min: 0.9 }
  const params = [
    await put({ dataset: 'triage', metric: 'accuracy' }),
    await put({ ...one, max: 0.1 }),
    await put(one, one),
  ].map((refused) => errorOf(refused).param)
  assert.deepEqual(params, ['requirements[0].min', 'requirements[0].min', 'requirements[1]'])
  await put(one)
  await put()
  assert.deepEqual((await ask('GET', path)).body['requirements'], [])
  const changes = rowsOf(await ask('GET', '/admin/audit?action=requirements.set'))
  assert.equal(changes.length, 2)
})

test('the newest value of each split counts', async (t) => {
  const pool = await postgres.pool(t)
  await pool.query(
    `INSERT INTO catalog_models (name, tags, limits, created_at, created_by, updated_at)
     VALUES ('guide', '{}', '{}', now(), 'test', now())`,
  )
  await pool.query(
    `INSERT INTO catalog_versions
       (id, model, number, kind, state, condition, created_by, created_at, registered_at, updated_at)
     SELECT 'guide@' || number, 'guide', number, 'local', 'ready', 'present', 'test', now(), now(), now()
     FROM generate_series(2, 3) AS number`,
  )
  const told = (version: string, metric: string, value: number, day: number, split = '') => ({
    id: randomUUIDv7(),
    model: 'guide',
    version,
    dataset: 'triage',
    split,
    metric,
    value,
    higherIsBetter: true,
    sampleSize: null,
    run: null,
    measuredAt: new Date(Date.UTC(2026, 0, day)),
    measuredBy: 'test',
  })
  await insertEvaluations(pool, [
    told('guide@2', 'accuracy', 0.8, 1),
    told('guide@2', 'accuracy', 0.9, 3, 'test'),
    told('guide@2', 'accuracy', 0.7, 2),
    told('guide@2', 'f1', 0.6, 1),
    told('guide@3', 'f1', 0.5, 4),
  ])
  assert.deepEqual(await newestEvaluations(pool, 'guide@2'), [
    { dataset: 'triage', split: '', metric: 'accuracy', value: 0.7 },
    { dataset: 'triage', split: 'test', metric: 'accuracy', value: 0.9 },
    { dataset: 'triage', split: '', metric: 'f1', value: 0.6 },
  ])
})

test('two people who set requirements at once both succeed, one after the other', async (t) => {
  const { ask } = await startTrialGateway(t, postgres)
  const path = '/admin/models/guide/requirements'
  const bounds = Array.from({ length: 12 }, (_, index) => index / 20)
  const told = await Promise.all(
    bounds.map((min) =>
      ask('PUT', path, { requirements: [{ dataset: 'triage', metric: 'accuracy', min }] }),
    ),
  )
  assert.deepEqual([...new Set(told.map(({ status }) => status))], [200])
  const { requirements } = (await ask('GET', path)).body as { requirements: object[] }
  assert.equal(requirements.length, 1)
})
