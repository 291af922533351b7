// Scores of evaluations: given one by one or by the batch, replaced, read.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { lowestIdAt } from '../../../gateway/db/partitions.ts'
import { errorOf, rowsOf } from '../../support/admin.ts'
import { privacyOf } from '../../support/gateway.ts'
import { startLogged } from '../../support/logged-gateway.ts'
import { usePostgres } from '../../support/postgres.ts'

const postgres = usePostgres()

test('an exchange is scored several times; the same score again replaces the one before', async (t) => {
  const { ask, makeKey, chat } = await startLogged(t, postgres)
  const id = await chat((await makeKey({ name: 'app' })).key)
  const path = `/admin/exchanges/chatcmpl-${id}/scores`
  const first = await ask('POST', path, { name: 'faithful', value: 0.25, evaluator: 'judge-1' })
  assert.equal(first.status, 200)
  await ask('POST', path, { name: 'tone', label: 'friendly', comment: 'It says\0 please.' })
  const again = await ask('POST', path, { name: 'faithful', value: 0.75, evaluator: 'judge-1' })
  assert.equal(again.body['id'], first.body['id'])
  const scores = rowsOf(await ask('GET', path))
  assert.deepEqual(
    scores.map((row) => [
      row['name'],
      row['evaluator'],
      row['value'],
      row['label'],
      row['comment'],
    ]),
    [
      ['tone', null, null, 'friendly', 'It says\ufffd please.'],
      ['faithful', 'judge-1', 0.75, null, null],
    ],
  )
  assert.deepEqual(scores[1]?.['exchange_id'], id)
  assert.equal((await ask('DELETE', `/admin/scores/${String(first.body['id'])}`)).status, 200)
  assert.equal(rowsOf(await ask('GET', path)).length, 1)
  const gone = errorOf(await ask('DELETE', `/admin/scores/${String(first.body['id'])}`))
  assert.equal(gone.code, 'score_not_found')
})

test('comments of scores are kept as texts are: redacted, or not at all', async (t) => {
  for (const [policy, kept] of [
    ['redacted', 'It told [EMAIL_1].'],
    ['none', null],
  ] as const) {
    const { ask, makeKey, chat } = await startLogged(t, postgres, {
      deps: { privacy: privacyOf(policy) },
    })
    const exchange_id = await chat((await makeKey({ name: 'app' })).key)
    const score = { name: 'tone', value: 1, comment: 'It told jane@example.com.' }
    const one = await ask('POST', `/admin/exchanges/${exchange_id}/scores`, score)
    assert.deepEqual([one.body['comment'], one.body['value']], [kept, 1])
    const batch = await ask('POST', '/admin/scores', { scores: [{ exchange_id, ...score }] })
    assert.equal(rowsOf(batch)[0]?.['comment'], kept)
  }
})

test('a pipeline scores by the batch, all or none, and finds what it wrote', async (t) => {
  const { ask, makeKey, chat } = await startLogged(t, postgres)
  const { key } = await makeKey({ name: 'app' })
  const ids = [await chat(key), await chat(key), await chat(key)]
  const scores = ids.map((exchange_id, index) => ({
    exchange_id,
    name: 'faithful',
    evaluator: 'judge-1',
    value: index / 2,
    label: index > 0 ? 'pass' : 'fail',
  }))
  const { status, body } = await ask('POST', '/admin/scores', { scores })
  assert.deepEqual([status, (body['data'] as object[]).length], [200, 3])

  const old = lowestIdAt(Date.now() - 2 * 86_400_000).replace('-0000-0000-', '-7000-8000-')
  for (const [wrong, code, param] of [
    [{ exchange_id: old, name: 'faithful', value: 1 }, 'exchange_not_found', null],
    [{ exchange_id: 'x', name: 'a', value: 1 }, 'exchange_not_found', 'scores[1].exchange_id'],
    [{ exchange_id: ids[1], name: 'a' }, 'missing_required_parameter', 'scores[1].value'],
    [{ exchange_id: ids[1], name: 'a', value: '1' }, 'invalid_type', 'scores[1].value'],
    [{ ...scores[0], evaluator: 'b' }, 'invalid_value', 'scores[1]'],
  ] as const) {
    const good = { ...scores[0], evaluator: 'b' }
    const refused = errorOf(await ask('POST', '/admin/scores', { scores: [good, wrong] }))
    assert.deepEqual([refused.code, refused.param], [code, param])
  }

  const values = async (query: string) =>
    rowsOf(await ask('GET', `/admin/scores?${query}`)).map((row) => row['value'])
  const setOf = async (query: string) => new Set(await values(query))
  assert.deepEqual(await setOf('name=faithful'), new Set([0, 0.5, 1]))
  assert.deepEqual(await values('evaluator=b'), [])
  assert.deepEqual(await values('label=pass&max_value=0.5'), [0.5])
  assert.deepEqual(await setOf('min_value=0.5'), new Set([0.5, 1]))
  assert.deepEqual(await values(`exchange=${ids[0]}`), [0])
  const page = await ask('GET', '/admin/scores?limit=2')
  const rest = await values(`limit=2&after=${String(page.body['last_id'])}`)
  const paged = [...rowsOf(page).map((row) => row['value']), ...rest]
  assert.deepEqual(new Set(paged), new Set([0, 0.5, 1]))
  const refused = errorOf(await ask('GET', '/admin/scores', undefined, key))
  assert.equal(refused.code, 'insufficient_role')
})
