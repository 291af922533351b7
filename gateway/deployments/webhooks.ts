// Tells addresses of every change of the ledger: those of headrace.yaml and those of the table.
//
// A call is written down in the transaction of its entry and sent by whichever replica comes first, again and again,
// with growing pauses, until the address answers with a 2xx. Only addresses that are configured now are called; nothing
// is followed from there to anywhere else. Each address is waited for by itself: one that hangs holds up no other.
//
// Knows: deliveries, which addresses there are. Does not know: what an entry means, HTTP.

import { randomUUIDv7 } from 'node:crypto'

import {
  deleteOldDeliveries,
  deliveryFailed,
  deliveryReceived,
  giveUpForgotten,
  insertDelivery,
  insertOwnDelivery,
  takeDeliveries,
} from '../db/webhook-deliveries.ts'
import { forgetPreviousSecrets, listWebhooks } from '../db/webhooks.ts'
import { deploymentBody } from '../dialects/admin/deployment.ts'
import { SecretError } from '../secrets.ts'
import { callWebhook, webhookAddress } from './webhook-call.ts'
import type { Deployment } from '../db/deployments.ts'
import type { Pool, Queryable } from '../db/pool.ts'
import type { Delivery } from '../db/webhook-deliveries.ts'
import type { StoredWebhook } from '../db/webhooks.ts'
import type { Logger } from '../logger.ts'
import type { Keyring } from '../secrets.ts'
import type { Webhook } from './webhook-call.ts'

export interface WebhooksOptions {
  pool: Pool
  keyring: Keyring
  logger: Logger
  pollMs?: number
  firstPauseMs?: number
  sweepMs?: number
}

const POLL_MS = 1_000
const FIRST_PAUSE_MS = 2_000
const MAX_PAUSE_MS = 60 * 60_000
/** to one address */
const AT_ONCE = 8
/** What is over is a few rows a day. The first time comes late, so that headrace.yaml has been read by then. */
const SWEEP_MS = 60 * 60_000
const SWEPT_AT_ONCE = 1_000

export class Webhooks {
  readonly #options: WebhooksOptions
  #inFile: Webhook[] = []
  #timer: NodeJS.Timeout | null = null
  #looking: Promise<void> = Promise.resolve()
  /** by address, what is on its way there */
  readonly #sending = new Map<string, Promise<void>>()
  #sweptAt = performance.now()
  #isClosed = false

  constructor(options: WebhooksOptions) {
    this.#options = options
    this.#next()
  }

  /** From now on these of headrace.yaml, and no others. */
  configure(webhooks: readonly Webhook[]): void {
    // As the table has them, so that one address is told once.
    this.#inFile = webhooks.map(({ url, secret }) => ({ url: webhookAddress(url), secret }))
  }

  /** What headrace.yaml says, which wins where the table has the same address. */
  get inFile(): readonly Webhook[] {
    return this.#inFile
  }

  /** In the transaction of the entry. */
  readonly announce = async (
    transaction: Queryable,
    entry: Deployment,
    before: Deployment | null,
  ): Promise<void> => {
    const urls = this.#urls(await listWebhooks(transaction))
    if (urls.length === 0) return
    const { outcome, action, at } = entry
    const payload = JSON.stringify({
      type: `deployment.${outcome === 'failed' ? 'failed' : action}`,
      timestamp: at.toISOString(),
      data: { ...deploymentBody(entry), before: before && deploymentBody(before) },
    })
    const eventId = `deployment_${entry.id}`
    for (const url of urls) {
      await insertDelivery(transaction, { id: randomUUIDv7(), eventId, url, payload })
    }
  }

  /** Calls one now and once, with nothing to tell. @returns the id of the delivery */
  async test(webhook: StoredWebhook): Promise<string> {
    const { pool } = this.#options
    const id = randomUUIDv7()
    const payload = JSON.stringify({
      type: 'webhook.test',
      timestamp: new Date().toISOString(),
      data: { object: 'webhook', id: webhook.id },
    })
    const delivery = { id, eventId: `test_${id}`, url: webhook.url, payload }
    await insertOwnDelivery(pool, delivery)
    const error = await this.#call(delivery, [webhook])
    if (error === null) await deliveryReceived(pool, id)
    else await deliveryFailed(pool, { id, error, retryMs: null })
    return id
  }

  /** Whether what is owed to it is sent. */
  async isCalled(url: string): Promise<boolean> {
    return this.#urls(await listWebhooks(this.#options.pool)).includes(url)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    if (this.#timer) clearTimeout(this.#timer)
    await this.#looking
    await Promise.all(this.#sending.values())
  }

  #next() {
    if (this.#isClosed) return
    this.#timer = setTimeout(() => {
      this.#looking = this.#look().finally(() => this.#next())
    }, this.#options.pollMs ?? POLL_MS).unref()
  }

  async #look(): Promise<void> {
    const { pool } = this.#options
    try {
      // Read each time: all replicas follow a change at once, and none calls an address that was removed.
      const stored = await listWebhooks(pool)
      const urls = this.#urls(stored)
      await this.#sweep(urls)
      const idle = urls.filter((url) => !this.#sending.has(url))
      if (idle.length === 0) return
      const due = await takeDeliveries(pool, idle, AT_ONCE)
      for (const [url, deliveries] of Map.groupBy(due, ({ url }) => url)) {
        // What could not be written down is due again.
        const sent = Promise.allSettled(deliveries.map((delivery) => this.#send(delivery, stored)))
        this.#sending.set(
          url,
          sent.then(() => void this.#sending.delete(url)),
        )
      }
    } catch {
      // The database is away, which others say; what is due stays so.
    }
  }

  /** Forgets what is over, some of it at each look. */
  async #sweep(urls: readonly string[]): Promise<void> {
    const { pool, sweepMs = SWEEP_MS } = this.#options
    if (performance.now() - this.#sweptAt < sweepMs) return
    await forgetPreviousSecrets(pool)
    await giveUpForgotten(pool, urls)
    if ((await deleteOldDeliveries(pool, SWEPT_AT_ONCE)) === SWEPT_AT_ONCE) return
    this.#sweptAt = performance.now()
  }

  async #send(delivery: Delivery, stored: readonly StoredWebhook[]): Promise<void> {
    const { pool, logger, firstPauseMs = FIRST_PAUSE_MS } = this.#options
    const { id, eventId, url, attempts } = delivery
    const error = await this.#call(delivery, stored)
    if (error === null) return deliveryReceived(pool, id)
    // With jitter: whoever comes back is not to be met by all replicas at once.
    const pauseMs = Math.min(firstPauseMs * 2 ** (attempts - 1), MAX_PAUSE_MS)
    const retryMs = pauseMs * (0.5 + Math.random() / 2)
    const isOwed = await deliveryFailed(pool, { id, error, retryMs })
    // The address may have a secret in its path.
    const { host } = new URL(url)
    const about = { host, event: eventId, attempts, reason: error }
    if (isOwed) logger.warn(about, 'a webhook was not received')
    else logger.error(about, 'a webhook was not received and is given up')
  }

  /** @returns why it was not received; null where it was */
  async #call(
    { eventId, url, payload }: Pick<Delivery, 'eventId' | 'url' | 'payload'>,
    stored: readonly StoredWebhook[],
  ): Promise<string | null> {
    try {
      const secrets = this.#secretsOf(url, stored)
      return secrets.length === 0
        ? 'Nothing is sent there any more.'
        : await callWebhook({ url, secrets }, eventId, payload)
    } catch (error) {
      if (error instanceof SecretError) return error.message
      throw error
    }
  }

  /** The one before is signed with as well, until its receiver is to know the new one. @throws SecretError */
  #secretsOf(url: string, stored: readonly StoredWebhook[]): string[] {
    const inFile = this.#inFile.find((webhook) => webhook.url === url)
    if (inFile) return [inFile.secret]
    const found = stored.find((webhook) => webhook.url === url)
    if (!found) return []
    const { id, secret, previousSecret, previousUntil } = found
    const isOverlap = previousUntil !== null && previousUntil.getTime() > Date.now()
    const sealed = isOverlap && previousSecret !== null ? [secret, previousSecret] : [secret]
    return sealed.map((each) => this.#options.keyring.open(each, webhookOwner(id)))
  }

  #urls(stored: readonly StoredWebhook[]): string[] {
    return [...new Set([...this.#inFile, ...stored].map(({ url }) => url))]
  }
}

/** What a sealed secret belongs to. */
export const webhookOwner = (id: string) => `webhook ${id}`
