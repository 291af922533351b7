// What becomes of calls that are owed: who hangs holds nobody up, what is over is forgotten.

import assert from 'node:assert/strict'
import dns from 'node:dns'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'

import { migrate } from '../../../gateway/db/migrate.ts'
import { callWebhook } from '../../../gateway/deployments/webhook-call.ts'
import { usePostgres } from '../../support/postgres.ts'
import { eventually } from '../../support/runtime.ts'
import {
  administerWebhooks,
  deploymentDraft,
  openWebhooks,
  startReceiver,
} from '../../support/webhooks.ts'

const postgres = usePostgres()

test('an address that does not answer holds up no other', async (t) => {
  const pool = await postgres.pool(t)
  await migrate(pool)
  const hanging = await startReceiver(t, [0])
  const { calls, url } = await startReceiver(t, [200])
  const { ledger } = openWebhooks(t, pool, [hanging.url])
  for (let number = 1; number <= 20; number++) {
    await ledger.append(deploymentDraft(`guide@${number}`, number === 1 ? null : number - 1))
  }
  await eventually('it hangs', () => hanging.calls.length > 0)
  const both = openWebhooks(t, pool, [hanging.url, url])
  await both.ledger.append(deploymentDraft('guide@21', 20))
  await eventually('the other one is told', () => calls.length === 1)
  await both.ledger.append(deploymentDraft('guide@22', 21))
  await eventually('and again', () => calls.length === 2)
})

test('what failed while its address was removed is not owed again', async (t) => {
  const pool = await postgres.pool(t)
  await migrate(pool)
  let answer = () => {}
  const server = createServer((_request, response) => {
    answer = () => void response.writeHead(500).end()
    started()
  })
  let started = () => {}
  const isCalled = new Promise<void>((resolve) => (started = resolve))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const { ask, add, ledger, deliveries } = await administerWebhooks(t, pool)
  const { body } = await add({ url })
  await ledger.append(deploymentDraft('guide@1', null))
  await isCalled
  assert.equal((await ask('DELETE', `/admin/webhooks/${String(body['id'])}`)).status, 200)
  answer()
  await eventually('it is written down', async () => {
    return (await deliveries())[0]?.['last_error'] === 'It answered with status 500.'
  })
  assert.equal((await deliveries())[0]?.['state'], 'given_up')
})

test('calls go a month after they were made, and those that nobody sends are given up', async (t) => {
  const pool = await postgres.pool(t)
  await migrate(pool)
  const url = 'https://hooks.example.com/old'
  const insert = (daysAgo: number, isOwed: boolean) =>
    pool.query(
      `INSERT INTO webhook_deliveries (id, event_id, url, payload, created_at, owed_since, next_at)
       VALUES (exchange_id_at(now() - $1 * interval '1 day'), $1::text, $2, '{}', now() - $1 * interval '1 day',
         now() - $1 * interval '1 day', CASE WHEN $3 THEN now() - interval '1 minute' END)`,
      [daysAgo, url, isOwed],
    )
  await insert(40, true)
  await insert(31, false)
  await insert(29, false)
  await insert(4, true)
  await insert(2, true)
  openWebhooks(t, pool, [], { sweepMs: 0 })
  const left = async () => {
    const { rows } = await pool.query<{ event: string; owed: boolean }>(
      'SELECT event_id AS event, next_at IS NOT NULL AS owed FROM webhook_deliveries ORDER BY id',
    )
    return rows.map(({ event, owed }) => `${event}${owed ? ' owed' : ''}`).join(', ')
  }
  await eventually('they are swept', async () => (await left()) === '29, 4, 2 owed')
})

test('where a name has several addresses and none answers, it is told why', async (t) => {
  const closed = createServer()
  await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve))
  const { port } = closed.address() as AddressInfo
  await new Promise((resolve) => closed.close(resolve))
  const addresses = ['127.0.0.1', '127.0.0.2'].map((address) => ({ address, family: 4 }))
  type Found = (error: null, found: typeof addresses) => void
  t.mock.method(dns, 'lookup', (_name: string, _options: object, done: Found) => {
    done(null, addresses)
  })
  const url = `http://hooks.example.com:${port}/`
  const told = await callWebhook({ url, secrets: ['any text of some length'] }, 'id', '{}')
  assert.match(String(told), /ECONNREFUSED 127\.0\.0\.1.*; .*ECONNREFUSED 127\.0\.0\.2/)
})
