// What calls are signed with: replaced while a receiver still checks by the secret of before, and never less than it seems.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { migrate } from '../../../gateway/db/migrate.ts'
import { problemsOf } from '../../../gateway/declared/check.ts'
import { errorOf } from '../../support/admin.ts'
import { usePostgres } from '../../support/postgres.ts'
import { eventually } from '../../support/runtime.ts'
import { administerWebhooks, SECRET, signatureOf, startReceiver } from '../../support/webhooks.ts'

const postgres = usePostgres()

async function administer(t: TestContext) {
  const pool = await postgres.pool(t)
  await migrate(pool)
  const admin = await administerWebhooks(t, pool, [], { sweepMs: 0 })
  const { calls, url } = await startReceiver(t, [200])
  const added = await admin.add({ url })
  const path = `/admin/webhooks/${String(added.body['id'])}`
  const rotate = (body?: object) => admin.ask('POST', `${path}/rotate`, body)
  const signatures = async () => {
    assert.equal((await admin.ask('POST', `${path}/test`)).body['state'], 'delivered')
    return { call: calls.at(-1)!, signed: calls.at(-1)!.headers['webhook-signature']!.split(' ') }
  }
  return { ...admin, first: String(added.body['secret']), path, rotate, signatures }
}

test('a secret is replaced in place, and both sign until the one of before is over', async (t) => {
  const { first, rotate, signatures, ask, pool } = await administer(t)
  const rotated = await rotate({ overlap_seconds: 3_600 })
  assert.equal(rotated.status, 200, JSON.stringify(rotated.body))
  const second = String(rotated.body['secret'])
  assert.notEqual(second, first)
  const { call, signed } = await signatures()
  assert.deepEqual(signed, [signatureOf(call, second), signatureOf(call, first)])
  const listed = await ask('GET', '/admin/webhooks')
  const audit = await ask('GET', '/admin/audit?action=webhook.rotate')
  for (const shown of [listed.body, audit.body]) {
    const text = JSON.stringify(shown)
    assert.match(text, /previous_secret_until":"\d{4}-/)
    for (const secret of [first, second]) assert.ok(!text.includes(secret.slice(6, 40)))
  }

  await pool.query(`UPDATE webhooks SET previous_until = now() - interval '1 second'`)
  const later = await signatures()
  assert.deepEqual(later.signed, [signatureOf(later.call, second)])
  await eventually('the one of before is forgotten', async () => {
    const { rows } = await pool.query('SELECT 1 FROM webhooks WHERE previous_secret IS NULL')
    return rows.length === 1
  })
})

test('without a word the overlap is a day, and of two rotations the last two secrets sign', async (t) => {
  const { first, rotate, signatures } = await administer(t)
  const second = String((await rotate()).body['secret'])
  const { body } = await rotate({ secret: SECRET })
  const hours = (Date.parse(String(body['previous_secret_until'])) - Date.now()) / 3_600_000
  assert.ok(hours > 23.9 && hours <= 24, String(hours))
  const { call, signed } = await signatures()
  assert.deepEqual(signed, [signatureOf(call, SECRET), signatureOf(call, second)])
  assert.ok(!signed.includes(signatureOf(call, first)))
  await rotate({ overlap_seconds: 0 })
  assert.equal((await signatures()).signed.length, 1)
})

test('a secret that only looks like base64 is refused, as it would sign with nothing', async (t) => {
  const { add, rotate, ask } = await administer(t)
  const url = 'https://hooks.example.com/b'
  for (const secret of ['whsec_!!!!!!!!!!!!!!!!!!!!!!!!!!', 'whsec_c2hvcnQgc2hvcnQgc2hv']) {
    for (const refused of [
      errorOf(await add({ url, secret })),
      errorOf(await rotate({ secret })),
    ]) {
      assert.deepEqual(
        [refused.status, refused.code, refused.param],
        [400, 'invalid_value', 'secret'],
      )
      assert.match(refused.message, /base64 of 24 bytes or more/)
      assert.ok(!refused.message.includes(secret))
    }
    const problems = problemsOf({ webhooks: [{ url, secret }] })
    assert.deepEqual(
      problems.map(({ path }) => path.join('.')),
      ['webhooks.0.secret'],
    )
  }
  for (const refused of [
    errorOf(await add({ url, secret: 'much too short' })),
    errorOf(await rotate({ secret: 'much too short' })),
  ]) {
    assert.deepEqual([refused.code, refused.param], ['invalid_value', 'secret'])
    assert.doesNotMatch(refused.message, /much too short/)
  }
  const nobody = '/admin/webhooks/0190163d-8694-739b-aea5-966c26f8ad91/rotate'
  assert.equal(errorOf(await ask('POST', nobody)).code, 'webhook_not_found')
})
