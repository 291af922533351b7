import assert from 'node:assert/strict'
import { test } from 'node:test'

import { eraseEndUser, readEndUser } from '../../../gateway/db/end-users.ts'
import { deleteShadowAnswersBefore, forgetShadowTexts } from '../../../gateway/db/shadow-answers.ts'
import { rowsOf } from '../../support/admin.ts'
import { usePostgres } from '../../support/postgres.ts'
import { saying } from '../../support/scripted-backend.ts'
import { startTrialGateway } from '../../support/trial-gateway.ts'

const postgres = usePostgres()
const SHADOW = { action: 'shadow', version: 'guide@2', share: 1 }

test("a shadow's answers are seen by nobody but admins, beside the live ones", async (t) => {
  const gateway = await startTrialGateway(t, postgres)
  const { ask, backend, chat, deploy, settled, makeKey } = gateway
  backend.script = (_question, _signal, version) =>
    version === 'guide@2' ? saying('The clinic opens at ten.') : saying('The clinic opens at nine.')
  assert.equal((await deploy(SHADOW)).status, 200)
  const { key } = await makeKey({ name: 'app', limits: { requests_per_minute: 2 } })
  const first = await chat({}, key)
  const second = await chat({ stream: true }, key)
  assert.deepEqual([first.version, second.version], ['guide@1', 'guide@1'])
  await settled(2)
  assert.equal(backend.questions.length, 4)
  assert.equal(await gateway.countRows(), 2, 'the log has what callers asked, and nothing else')
  assert.equal((await chat({}, key)).status, 429, 'copies are not counted; a third request is')

  const path = '/admin/models/guide/shadows'
  const [newest, oldest] = rowsOf(await ask('GET', path))
  assert.deepEqual([newest?.['id'], oldest?.['id']], [second.id, first.id])
  assert.ok(newest)
  assert.equal((newest['shadow'] as { answer: null }).answer, null, 'texts are asked for')
  const [read] = rowsOf(await ask('GET', `${path}?include=bodies&limit=1`))
  const sides = read as { live: { answer: string[] }; shadow: { answer: string[] } }
  assert.deepEqual(sides.live.answer, ['The clinic opens at nine.'])
  assert.deepEqual(sides.shadow.answer, ['The clinic opens at ten.'])
  const readings = rowsOf(await ask('GET', '/admin/audit?action=exchange.read'))
  assert.deepEqual(
    readings.map(({ target }) => (target as { id: string }).id),
    [second.id],
  )

  const { body: summary } = await ask('GET', `${path}/summary`)
  const [sums] = summary['data'] as Record<string, number | string>[]
  assert.deepEqual(
    [
      sums?.['version'],
      sums?.['live_version'],
      sums?.['requests'],
      sums?.['failed'],
      sums?.['equal'],
    ],
    ['guide@2', 'guide@1', 2, 0, 0],
  )
  assert.ok(Number(sums?.['median_similarity']) > 0.7)
  assert.ok(Math.abs(Number(sums?.['cost_usd']) - (2 * (7 + 5 * 2)) / 1e6) < 1e-9)
  const { body: usage } = await ask('GET', '/admin/usage?group=version')
  assert.doesNotMatch(JSON.stringify(usage), /guide@2/, "callers' figures know nothing of it")
})

test('an answer that failed or was left has no copy', async (t) => {
  const { backend, chat, deploy, settled, shadows } = await startTrialGateway(t, postgres)
  await deploy(SHADOW)
  backend.script = () => {
    throw new Error('it failed')
  }
  assert.equal((await chat()).status, 500)
  await settled(1)
  assert.deepEqual(shadows.results, { kept: 0, dropped: 0, lost: 0 })
})

test("a shadow's text is kept as the key says, and goes when the exchange's goes", async (t) => {
  const gateway = await startTrialGateway(t, postgres)
  const { ask, backend, chat, deploy, settled, makeKey, pool } = gateway
  backend.script = () => saying('Write to jane@example.com')
  await deploy(SHADOW)
  const answersOf = async () =>
    rowsOf(await ask('GET', '/admin/models/guide/shadows?include=bodies')).map(
      ({ shadow }) => (shadow as { answer: string[] | null }).answer,
    )
  for (const bodies of ['none', 'redacted']) {
    const { key } = await makeKey({ name: bodies, bodies })
    await chat({}, key)
  }
  await chat({ user: 'jane' })
  await settled(3)
  const whole = ['Write to jane@example.com']
  assert.deepEqual(await answersOf(), [whole, ['Write to [EMAIL_1]'], null])

  const jane = { names: ['jane'], projectId: null }
  const told: { object: string; answer: string[] }[] = []
  for await (const line of readEndUser(pool, jane)) told.push(JSON.parse(line) as (typeof told)[0])
  assert.deepEqual(
    told.map(({ object }) => object),
    ['exchange', 'shadow_answer'],
  )
  assert.deepEqual(told[1]?.answer, whole)
  await eraseEndUser(pool, jane)
  assert.deepEqual(await answersOf(), [null, ['Write to [EMAIL_1]'], null])

  // As when the texts' time is over.
  await pool.query('DELETE FROM exchange_bodies')
  assert.deepEqual(await answersOf(), [null, null, null])
  assert.equal(await forgetShadowTexts(pool, new Date(0)), 1)
  const { rows } = await pool.query<{ kept: number }>(
    'SELECT count(answer)::int AS kept FROM shadow_answers',
  )
  assert.deepEqual(rows, [{ kept: 0 }])
  assert.equal(await deleteShadowAnswersBefore(pool, new Date(0)), 0)
  assert.equal(await deleteShadowAnswersBefore(pool, new Date(Date.now() + 60_000)), 3)
})
