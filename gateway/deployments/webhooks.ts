// Tells addresses of every change of the ledger, as Standard Webhooks (standardwebhooks.com) has it.
//
// A call is written down in the transaction of its entry and sent by whichever replica comes first, again and again,
// with growing pauses, until the address answers with a 2xx. Only addresses that are configured now are called; nothing
// is followed from there to anywhere else.
//
//   webhook-id         the event's, the same at every attempt
//   webhook-timestamp  of the attempt, Unix seconds
//   webhook-signature  v1,base64(HMAC-SHA256(secret, id.timestamp.body))
//
// Knows: deliveries, HTTP. Does not know: what an entry means.

import { createHmac, randomUUIDv7 } from 'node:crypto'

import {
  deliveryFailed,
  deliveryReceived,
  insertDelivery,
  takeDeliveries,
} from '../db/webhook-deliveries.ts'
import { deploymentBody } from '../dialects/admin/deployment.ts'
import type { Deployment } from '../db/deployments.ts'
import type { Pool, Queryable } from '../db/pool.ts'
import type { Delivery } from '../db/webhook-deliveries.ts'
import type { Logger } from '../logger.ts'

export interface Webhook {
  url: string
  /** `whsec_` and base64, as the specification has it, or any text */
  secret: string
}

export interface WebhooksOptions {
  pool: Pool
  logger: Logger
  pollMs?: number
  firstPauseMs?: number
}

const POLL_MS = 1_000
const TIMEOUT_MS = 10_000
const FIRST_PAUSE_MS = 2_000
const MAX_PAUSE_MS = 60 * 60_000
const AT_ONCE = 16
const PREFIX = 'whsec_'

export class Webhooks {
  readonly #options: WebhooksOptions
  #webhooks: Webhook[] = []
  #timer: NodeJS.Timeout | null = null
  #sending: Promise<void> = Promise.resolve()
  #isClosed = false

  constructor(options: WebhooksOptions) {
    this.#options = options
    this.#next()
  }

  /** From now on these, and no others. */
  configure(webhooks: readonly Webhook[]): void {
    this.#webhooks = [...webhooks]
  }

  /** In the transaction of the entry. */
  readonly announce = async (
    transaction: Queryable,
    entry: Deployment,
    before: Deployment | null,
  ): Promise<void> => {
    if (this.#webhooks.length === 0) return
    const { outcome, action, at } = entry
    const payload = JSON.stringify({
      type: `deployment.${outcome === 'failed' ? 'failed' : action}`,
      timestamp: at.toISOString(),
      data: { ...deploymentBody(entry), before: before && deploymentBody(before) },
    })
    const eventId = `deployment_${entry.id}`
    for (const { url } of this.#webhooks) {
      await insertDelivery(transaction, { id: randomUUIDv7(), eventId, url, payload })
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    if (this.#timer) clearTimeout(this.#timer)
    await this.#sending
  }

  #next() {
    if (this.#isClosed) return
    this.#timer = setTimeout(() => {
      this.#sending = this.#sendDue().finally(() => this.#next())
    }, this.#options.pollMs ?? POLL_MS).unref()
  }

  async #sendDue(): Promise<void> {
    const { pool } = this.#options
    if (this.#webhooks.length === 0) return
    try {
      const urls = this.#webhooks.map(({ url }) => url)
      const due = await takeDeliveries(pool, urls, AT_ONCE)
      await Promise.all(due.map((delivery) => this.#send(delivery)))
    } catch {
      // The database is away, which others say; what is due stays so.
    }
  }

  async #send(delivery: Delivery): Promise<void> {
    const { pool, logger, firstPauseMs = FIRST_PAUSE_MS } = this.#options
    const { id, eventId, url, payload, attempts } = delivery
    const webhook = this.#webhooks.find((one) => one.url === url)
    if (!webhook) return
    const error = await post(webhook, eventId, payload)
    if (error === null) return deliveryReceived(pool, id)
    // With jitter: whoever comes back is not to be met by all replicas at once.
    const pauseMs = Math.min(firstPauseMs * 2 ** (attempts - 1), MAX_PAUSE_MS)
    await deliveryFailed(pool, { id, error, retryMs: pauseMs * (0.5 + Math.random() / 2) })
    // The address may have a secret in its path.
    const { host } = new URL(url)
    logger.warn({ host, event: eventId, attempts, reason: error }, 'a webhook was not received')
  }
}

/** @returns why it was not received; null where it was */
async function post({ url, secret }: Webhook, id: string, body: string): Promise<string | null> {
  const timestamp = String(Math.floor(Date.now() / 1000))
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'user-agent': 'Headrace',
        'webhook-id': id,
        'webhook-timestamp': timestamp,
        'webhook-signature': sign(secret, id, timestamp, body),
      },
      body,
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    await response.body?.cancel()
    return response.ok ? null : `It answered with status ${response.status}.`
  } catch (error) {
    if (!(error instanceof Error)) return String(error)
    return error.cause instanceof Error ? error.cause.message : error.message
  }
}

function sign(secret: string, id: string, timestamp: string, body: string): string {
  const key = secret.startsWith(PREFIX)
    ? Buffer.from(secret.slice(PREFIX.length), 'base64')
    : Buffer.from(secret)
  return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`
}
