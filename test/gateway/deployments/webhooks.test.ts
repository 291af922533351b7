// Who is told of deployments: addresses that are configured, in the format of Standard Webhooks, until they have heard.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { migrate } from '../../../gateway/db/migrate.ts'
import { errorOf } from '../../support/admin.ts'
import { usePostgres } from '../../support/postgres.ts'
import { eventually } from '../../support/runtime.ts'
import {
  administerWebhooks,
  deploymentDraft,
  openWebhooks,
  SECRET,
  signatureOf,
  startReceiver,
} from '../../support/webhooks.ts'

const postgres = usePostgres()

async function administer(t: TestContext, inFile: string[] = []) {
  const pool = await postgres.pool(t)
  await migrate(pool)
  return administerWebhooks(t, pool, inFile)
}

test('each change is told with a signature that can be checked, and again until it is received', async (t) => {
  const pool = await postgres.pool(t)
  await migrate(pool)
  const { calls, url } = await startReceiver(t, [500, 302, 204])
  const { ledger } = openWebhooks(t, pool, [url])
  const entry = await ledger.append(deploymentDraft('guide@1', null))
  const undelivered = async () => {
    const { rows } = await pool.query('SELECT 1 FROM webhook_deliveries WHERE delivered_at IS NULL')
    return rows.length
  }
  await eventually('it is received', async () => (await undelivered()) === 0)
  assert.equal(calls.length, 3, 'after an error and a redirection, which is not followed')
  const { headers, body } = calls[2]!
  assert.equal(headers['webhook-signature'], signatureOf({ headers, body }, SECRET))
  assert.equal(new Set(calls.map((call) => call.headers['webhook-id'])).size, 1)
  const { type, timestamp, data } = JSON.parse(body) as {
    type: string
    timestamp: string
    data: Record<string, unknown>
  }
  assert.deepEqual([type, timestamp], ['deployment.deploy', entry.at.toISOString()])
  assert.deepEqual([data['id'], data['reason'], data['before']], [entry.id, 'because', null])
})

test('what is owed is sent after a restart, and never to an address that is not configured any more', async (t) => {
  const pool = await postgres.pool(t)
  await migrate(pool)
  const kept = await startReceiver(t, [200])
  const dropped = await startReceiver(t, [200])
  const before = openWebhooks(t, pool, [kept.url, dropped.url])
  await before.webhooks.close()
  await before.ledger.append(deploymentDraft('guide@1', null))
  openWebhooks(t, pool, [kept.url])
  await eventually('it is told', () => kept.calls.length === 1)
  assert.equal(dropped.calls.length, 0)
})

test('an address that the admin API was given is told, with a secret that nobody sees again', async (t) => {
  const { ask, add, ledger, pool, deliveries } = await administer(t)
  const { calls, url } = await startReceiver(t, [200])
  const added = await add({ url })
  assert.equal(added.status, 201, JSON.stringify(added.body))
  const secret = String(added.body['secret'])
  assert.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/)
  await ledger.append(deploymentDraft('guide@1', null))
  await eventually('it is told', () => calls.length === 1)
  assert.equal(calls[0]!.headers['webhook-signature'], signatureOf(calls[0]!, secret))

  const listed = await ask('GET', '/admin/webhooks')
  const audit = await ask('GET', '/admin/audit?kind=webhook')
  const { rows } = await pool.query('SELECT secret, hint FROM webhooks')
  for (const seen of [listed.body, audit.body, rows]) {
    assert.ok(!JSON.stringify(seen).includes(secret.slice(6, 40)))
  }
  const [entry] = audit.body['data'] as { action: string }[]
  assert.equal(entry?.action, 'webhook.create')
  await eventually('it is written down', async () => {
    const [delivery] = await deliveries('state=delivered')
    return delivery?.['type'] === 'deployment.deploy' && delivery['attempts'] === 1
  })
})

test('what was not received is told with its error, and sent again when asked to', async (t) => {
  const { ask, add, ledger, deliveries } = await administer(t)
  const { calls, url } = await startReceiver(t, [200])
  await add({ url, secret: SECRET })
  await ledger.append(deploymentDraft('guide@1', null))
  await eventually('it is told', async () => (await deliveries('state=delivered')).length === 1)
  const [first] = await deliveries()
  const again = await ask('POST', `/admin/webhooks/deliveries/${String(first?.['id'])}/resend`)
  assert.deepEqual([again.status, again.body['state']], [200, 'pending'])
  await eventually('it is told again', () => calls.length === 2)
  assert.equal(calls[0]?.headers['webhook-id'], calls[1]?.headers['webhook-id'])
  const resent = await ask('GET', '/admin/audit?action=webhook.resend')
  assert.equal((resent.body['data'] as object[]).length, 1)
  const nobody = '0190163d-8694-739b-aea5-966c26f8ad91'
  const missing = errorOf(await ask('POST', `/admin/webhooks/deliveries/${nobody}/resend`))
  assert.equal(missing.code, 'delivery_not_found')
})

test('a webhook is tried out on demand, once', async (t) => {
  const { ask, add, deliveries } = await administer(t)
  const { calls, url } = await startReceiver(t, [500, 200])
  const { body } = await add({ url })
  const path = `/admin/webhooks/${String(body['id'])}/test`
  const bad = await ask('POST', path)
  const { state, last_error: error, attempts } = bad.body
  assert.deepEqual([state, error, attempts], ['given_up', 'It answered with status 500.', 1])
  assert.equal((await ask('POST', path)).body['state'], 'delivered')
  const told = JSON.parse(calls[1]!.body) as { type: string }
  assert.deepEqual([told.type, calls.length], ['webhook.test', 2])
  assert.equal((await deliveries('state=given_up')).length, 1)
})

test('a webhook that is removed is owed nothing', async (t) => {
  const { ask, add, ledger, deliveries } = await administer(t)
  const { calls, url } = await startReceiver(t, [500])
  const { body } = await add({ url })
  await ledger.append(deploymentDraft('guide@1', null))
  await eventually('it is tried', () => calls.length > 0)
  const path = `/admin/webhooks/${String(body['id'])}`
  assert.equal((await ask('DELETE', path)).status, 200)
  assert.equal(errorOf(await ask('DELETE', path)).code, 'webhook_not_found')
  const id = String((await deliveries())[0]?.['id'])
  const refused = errorOf(await ask('POST', `/admin/webhooks/deliveries/${id}/resend`))
  assert.equal(refused.code, 'webhook_not_found')
})

test('an address is told once, and must be one that can be called', async (t) => {
  const inFile = 'https://hooks.example.com/a'
  const { ask, add } = await administer(t, [inFile])
  assert.equal(errorOf(await add({ url: inFile })).code, 'declared_in_file')
  const url = 'https://hooks.example.com/b'
  assert.equal((await add({ url })).status, 201)
  assert.equal(errorOf(await add({ url })).code, 'name_taken')
  assert.equal(errorOf(await add({ url: `${url}#again` })).code, 'name_taken')
  for (const bad of ['ftp://example.com', 'nowhere', 'https://ann:secret@example.com']) {
    const refused = errorOf(await add({ url: bad }))
    assert.deepEqual([refused.status, refused.code], [400, 'invalid_value'])
  }
  const { body } = await ask('GET', '/admin/webhooks')
  const told = (body['data'] as Record<string, unknown>[]).map((one) => [one['url'], one['source']])
  assert.deepEqual(told, [
    [inFile, 'file'],
    [url, 'api'],
  ])
})
