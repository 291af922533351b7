// Webhooks over a database, with addresses that write down what they are told.

import { createHmac } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'

import { Ledger } from '../../gateway/deployments/ledger.ts'
import { Webhooks } from '../../gateway/deployments/webhooks.ts'
import { Keyring } from '../../gateway/secrets.ts'
import { startAdmin } from './admin.ts'
import { recordLog } from './logger.ts'
import type { Pool } from '../../gateway/db/pool.ts'
import type { WebhooksOptions } from '../../gateway/deployments/webhooks.ts'

const KEYRING = new Keyring([Buffer.alloc(32, 7)])
/** of webhooks in the file */
export const SECRET = `whsec_${Buffer.alloc(32, 3).toString('base64')}`

export interface Call {
  headers: Record<string, string>
  body: string
}

/** Answers with one status after the other, the last one for ever; 0: not at all. */
export async function startReceiver(t: TestContext, statuses: number[]) {
  const calls: Call[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      calls.push({ headers: request.headers as Record<string, string>, body })
      const status = statuses[calls.length - 1] ?? statuses.at(-1)!
      if (status === 0) return
      response.writeHead(status, { location: '/elsewhere' }).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { calls, url: `http://127.0.0.1:${port}/hook` }
}

export function openWebhooks(
  t: TestContext,
  pool: Pool,
  urls: string[],
  options: Partial<WebhooksOptions> = {},
) {
  const { logger, messages } = recordLog()
  const shared = { pool, keyring: KEYRING, logger, pollMs: 10, firstPauseMs: 5 }
  const webhooks = new Webhooks({ ...shared, ...options })
  webhooks.configure(urls.map((url) => ({ url, secret: SECRET })))
  t.after(() => webhooks.close())
  return { webhooks, ledger: new Ledger({ pool, announce: webhooks.announce }), messages }
}

export function deploymentDraft(version: string, basedOn: number | null) {
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

/** A gateway whose webhooks are administered. */
export async function administerWebhooks(
  t: TestContext,
  pool: Pool,
  inFile: string[] = [],
  options: Partial<WebhooksOptions> = {},
) {
  const { webhooks, ledger, messages } = openWebhooks(t, pool, inFile, options)
  const admin = await startAdmin(t, pool, { deps: { webhooks: { webhooks, keyring: KEYRING } } })
  const add = (body: object) => admin.ask('POST', '/admin/webhooks', body)
  const deliveries = async (query = '') => {
    const { body } = await admin.ask('GET', `/admin/webhooks/deliveries?${query}`)
    return body['data'] as Record<string, unknown>[]
  }
  return { ...admin, ledger, messages, add, deliveries }
}

/** @param secret `whsec_…` */
export function signatureOf({ headers, body }: Call, secret: string): string {
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64')
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`
  return `v1,${createHmac('sha256', key).update(signed).digest('base64')}`
}
