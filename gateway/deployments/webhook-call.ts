// One call of a webhook, signed as Standard Webhooks (standardwebhooks.com) has it.
//
//   webhook-id         the event's, the same at every attempt
//   webhook-timestamp  of the attempt, Unix seconds
//   webhook-signature  v1,base64(HMAC-SHA256(secret, id.timestamp.body))
//
// Knows: HTTP, signatures. Does not know: what is told, when it is tried again.

import { createHmac, randomBytes } from 'node:crypto'

export interface Webhook {
  url: string
  /** `whsec_` and base64, as the specification has it, or any text */
  secret: string
}

const TIMEOUT_MS = 10_000
const PREFIX = 'whsec_'
/** the specification's 24 to 64 */
const SECRET_BYTES = 32

export function makeWebhookSecret(): string {
  return PREFIX + randomBytes(SECRET_BYTES).toString('base64')
}

/** @returns why it was not received; null where it was */
export async function callWebhook(
  { url, secret }: Webhook,
  id: string,
  body: string,
): Promise<string | null> {
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
