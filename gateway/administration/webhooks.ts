// Who is told of deployments: added, removed, given another secret, tried out, told again, each change with its row of the audit log.
//
// A secret goes in, or is made here, and is shown once; from then on it is sealed. It can be replaced, and the one before is
// signed with for a while beside it. Where something is sent can't be changed: another address is another webhook, with a
// secret of its own.
//
// Knows: the tables, sealing. Does not know: HTTP, when calls are made.

import { randomUUIDv7 } from 'node:crypto'

import { recordChange } from '../db/audit.ts'
import { inTransaction } from '../db/transaction.ts'
import { findDelivery, giveUpDeliveries, resendDelivery } from '../db/webhook-deliveries.ts'
import {
  deleteWebhook,
  findWebhook,
  insertWebhook,
  lockWebhook,
  updateWebhookSecrets,
} from '../db/webhooks.ts'
import {
  isWebhookSecret,
  makeWebhookSecret,
  WEBHOOK_SECRET_RULE,
  webhookAddress,
} from '../deployments/webhook-call.ts'
import { webhookOwner } from '../deployments/webhooks.ts'
import { deliveryBody, webhookBody } from '../dialects/admin/webhook.ts'
import { GatewayError } from '../errors.ts'
import { hintOf, SecretError } from '../secrets.ts'
import type { Actor } from '../db/audit.ts'
import type { Pool, Queryable } from '../db/pool.ts'
import type { DeliveryRecord } from '../db/webhook-deliveries.ts'
import type { StoredWebhook } from '../db/webhooks.ts'
import type { Webhooks } from '../deployments/webhooks.ts'
import type { WebhookDraft, WebhookRotation } from '../dialects/admin/webhook.ts'
import type { Keyring } from '../secrets.ts'

/** as headrace.yaml has it */
const MIN_SECRET_CHARACTERS = 24
const MAX_SECRET_CHARACTERS = 500
/** Enough for whoever deploys a receiver once a day. */
const OVERLAP_SECONDS = 86_400

export interface WebhookDeps {
  pool: Pool
  keyring: Keyring
  webhooks: Pick<Webhooks, 'inFile' | 'test' | 'isCalled'>
}

/** @throws GatewayError `invalid_value`, `name_taken`, `declared_in_file`, `secret_key_missing` */
export async function addWebhook(
  { pool, keyring, webhooks }: WebhookDeps,
  actor: Actor,
  draft: WebhookDraft,
): Promise<{ webhook: StoredWebhook; secret: string }> {
  const url = readUrl(draft.url)
  if (webhooks.inFile.some((webhook) => webhook.url === url)) {
    throw new GatewayError('declared_in_file', `'${url}' is in headrace.yaml already.`)
  }
  const secret = readSecret(draft.secret)
  const id = randomUUIDv7()
  const webhook: StoredWebhook = {
    id,
    url,
    secret: seal(keyring, id, secret),
    hint: hintOf(secret),
    previousSecret: null,
    previousUntil: null,
    createdAt: new Date(),
  }
  await inTransaction(pool, async (transaction) => {
    if (!(await insertWebhook(transaction, webhook))) {
      throw new GatewayError('name_taken', `'${url}' is told already.`, { param: 'url' })
    }
    await recordChange(transaction, actor, {
      ...named(webhook, 'webhook.create'),
      before: null,
      after: webhookBody(webhook),
    })
  })
  return { webhook, secret }
}

/**
 * The same webhook with another secret. Calls are signed with the one of before as well for that long; with the one before
 * that no longer.
 * @throws GatewayError `webhook_not_found`, `invalid_value`, `secret_key_missing`
 */
export async function rotateWebhookSecret(
  { pool, keyring }: Pick<WebhookDeps, 'pool' | 'keyring'>,
  actor: Actor,
  id: string,
  rotation: WebhookRotation,
): Promise<{ webhook: StoredWebhook; secret: string }> {
  const secret = readSecret(rotation.secret)
  const sealed = seal(keyring, id, secret)
  const overlapSeconds = rotation.overlap_seconds ?? OVERLAP_SECONDS
  return inTransaction(pool, async (transaction) => {
    const before = await lockWebhook(transaction, id)
    if (!before) throw noWebhook(id)
    const isOverlap = overlapSeconds > 0
    const webhook: StoredWebhook = {
      ...before,
      secret: sealed,
      hint: hintOf(secret),
      previousSecret: isOverlap ? before.secret : null,
      previousUntil: isOverlap ? new Date(Date.now() + overlapSeconds * 1000) : null,
    }
    await updateWebhookSecrets(transaction, webhook)
    await recordChange(transaction, actor, {
      ...named(webhook, 'webhook.rotate'),
      before: webhookBody(before),
      after: webhookBody(webhook),
    })
    return { webhook, secret }
  })
}

/** What is owed to it is given up. @throws GatewayError `webhook_not_found` */
export async function removeWebhook(
  { pool, webhooks }: WebhookDeps,
  actor: Actor,
  id: string,
): Promise<StoredWebhook> {
  return inTransaction(pool, async (transaction) => {
    const webhook = await deleteWebhook(transaction, id)
    if (!webhook) throw noWebhook(id)
    const { url } = webhook
    if (!webhooks.inFile.some((other) => other.url === url)) {
      await giveUpDeliveries(transaction, { url, error: 'The webhook was removed.' })
    }
    await recordChange(transaction, actor, {
      ...named(webhook, 'webhook.delete'),
      before: webhookBody(webhook),
      after: null,
    })
    return webhook
  })
}

/** Waits for its answer. @throws GatewayError `webhook_not_found` */
export async function testWebhook(
  { pool, webhooks }: WebhookDeps,
  id: string,
): Promise<DeliveryRecord> {
  const webhook = await findWebhook(pool, id)
  if (!webhook) throw noWebhook(id)
  return getDelivery(pool, await webhooks.test(webhook))
}

/** @throws GatewayError `delivery_not_found`, `webhook_not_found` where its address is not called any more */
export async function resend(
  { pool, webhooks }: WebhookDeps,
  actor: Actor,
  id: string,
): Promise<DeliveryRecord> {
  const before = await getDelivery(pool, id)
  const { url, type, eventId } = before
  if (!(await webhooks.isCalled(url))) {
    throw new GatewayError('webhook_not_found', `Nothing is sent to '${url}' any more.`)
  }
  return inTransaction(pool, async (transaction) => {
    await resendDelivery(transaction, id)
    const after = await getDelivery(transaction, id)
    const [was, is] = [deliveryBody(before), deliveryBody(after)]
    const change = { action: 'webhook.resend', kind: 'webhook_delivery' as const, id }
    await recordChange(transaction, actor, {
      ...change,
      name: `${type} ${eventId}`,
      before: was,
      after: is,
    })
    return after
  })
}

async function getDelivery(db: Queryable, id: string): Promise<DeliveryRecord> {
  const delivery = await findDelivery(db, id)
  if (delivery) return delivery
  throw new GatewayError('delivery_not_found', `There is no delivery '${id}'.`)
}

/** @param given undefined: one is made */
function readSecret(given: string | undefined): string {
  if (given === undefined) return makeWebhookSecret()
  const refusal = (why: string) => new GatewayError('invalid_value', why, { param: 'secret' })
  if (given.length < MIN_SECRET_CHARACTERS || given.length > MAX_SECRET_CHARACTERS) {
    const allowed = `${MIN_SECRET_CHARACTERS} to ${MAX_SECRET_CHARACTERS} characters`
    throw refusal(`'secret' must have ${allowed}; it has ${given.length}.`)
  }
  if (isWebhookSecret(given)) return given
  throw refusal(`'secret' can't be used: ${WEBHOOK_SECRET_RULE}`)
}

function readUrl(text: string): string {
  const url = URL.parse(text)
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw invalidUrl("'url' must be an address that begins with https:// or http://.")
  }
  // fetch() takes none, and they would be in every list.
  if (url.username || url.password) {
    throw invalidUrl("'url' may have no name and no password; calls are signed with the secret.")
  }
  return webhookAddress(text)
}

const invalidUrl = (message: string) => new GatewayError('invalid_value', message, { param: 'url' })

function seal(keyring: Keyring, id: string, secret: string): string {
  try {
    return keyring.seal(secret, webhookOwner(id))
  } catch (error) {
    if (!(error instanceof SecretError)) throw error
    throw new GatewayError(
      'secret_key_missing',
      `${error.message} Set HEADRACE_SECRET_KEY to 32 random bytes, base64 or hex.`,
      { cause: error },
    )
  }
}

const named = ({ id, url }: StoredWebhook, action: string) => ({
  action,
  kind: 'webhook' as const,
  id,
  name: new URL(url).host,
})

function noWebhook(id: string): GatewayError {
  return new GatewayError('webhook_not_found', `There is no webhook '${id}'.`)
}
