// Who is told of deployments: addresses that are configured, in the format of Standard Webhooks, until they have heard.

import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { migrate } from '../../../gateway/db/migrate.ts'
import { Ledger } from '../../../gateway/deployments/ledger.ts'
import { Webhooks } from '../../../gateway/deployments/webhooks.ts'
import { recordLog } from '../../support/logger.ts'
import { usePostgres } from '../../support/postgres.ts'
import { eventually } from '../../support/runtime.ts'
import type { Pool } from '../../../gateway/db/pool.ts'

const postgres = usePostgres()
const KEY = Buffer.alloc(32, 3)
const SECRET = `whsec_${KEY.toString('base64')}`

interface Call {
  headers: Record<string, string>
  body: string
}

/** Answers with one status after the other, the last one for ever. */
async function startReceiver(t: TestContext, statuses: number[]) {
  const calls: Call[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      calls.push({ headers: request.headers as Record<string, string>, body })
      const status = statuses[calls.length - 1] ?? statuses.at(-1)!
      response.writeHead(status, { location: '/elsewhere' }).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  return { calls, url: `http://127.0.0.1:${port}/hook` }
}

function open(t: TestContext, pool: Pool, urls: string[]) {
  const options = { pool, logger: recordLog().logger, pollMs: 10, firstPauseMs: 5 }
  const webhooks = new Webhooks(options)
  webhooks.configure(urls.map((url) => ({ url, secret: SECRET })))
  t.after(() => webhooks.close())
  return { webhooks, ledger: new Ledger({ pool, announce: webhooks.announce }) }
}

function draft(version: string, basedOn: number | null) {
  return {
    model: 'guide',
    action: 'deploy' as const,
    state: {
      targets: [{ version, weight: 1 }],
      canary: null,
      shadow: null,
      fallbacks: [],
      sticky: 'session' as const,
    },
    basedOn,
    restores: null,
    reason: 'because',
    actor: { id: null, name: 'ada', via: 'api' as const },
  }
}

test('each change is told with a signature that can be checked, and again until it is received', async (t) => {
  const pool = await postgres.pool(t)
  await migrate(pool)
  const { calls, url } = await startReceiver(t, [500, 302, 204])
  const { ledger } = open(t, pool, [url])
  const entry = await ledger.append(draft('guide@1', null))
  const undelivered = async () => {
    const { rows } = await pool.query('SELECT 1 FROM webhook_deliveries WHERE delivered_at IS NULL')
    return rows.length
  }
  await eventually('it is received', async () => (await undelivered()) === 0)
  assert.equal(calls.length, 3, 'after an error and a redirection, which is not followed')
  const { headers, body } = calls[2]!
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`
  const expected = createHmac('sha256', KEY).update(signed).digest('base64')
  assert.equal(headers['webhook-signature'], `v1,${expected}`)
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
  const before = open(t, pool, [kept.url, dropped.url])
  await before.webhooks.close()
  await before.ledger.append(draft('guide@1', null))
  open(t, pool, [kept.url])
  await eventually('it is told', () => kept.calls.length === 1)
  assert.equal(dropped.calls.length, 0)
})
