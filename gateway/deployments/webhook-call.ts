// One call of a webhook, signed as Standard Webhooks (standardwebhooks.com) has it.
//
//   webhook-id         the event's, the same at every attempt
//   webhook-timestamp  of the attempt, Unix seconds
//   webhook-signature  v1,base64(HMAC-SHA256(secret, id.timestamp.body)); one for each secret, with spaces between
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
const FEWEST_BYTES = 24

/** The same address is the same text, so that it is told once: what is behind # is not sent. */
export function webhookAddress(text: string): string {
  const url = new URL(text)
  url.hash = ''
  return url.href
}

export function makeWebhookSecret(): string {
  return PREFIX + randomBytes(SECRET_BYTES).toString('base64')
}

/** What isn't base64 would be signed with whatever is left of it, which may be nothing. */
export function isWebhookSecret(secret: string): boolean {
  if (!secret.startsWith(PREFIX)) return true
  const text = secret.slice(PREFIX.length)
  const bytes = Buffer.from(text, 'base64')
  const isBase64 = bytes.toString('base64').replace(/=+$/, '') === text.replace(/=+$/, '')
  return isBase64 && bytes.length >= FEWEST_BYTES
}

export const WEBHOOK_SECRET_RULE = `behind '${PREFIX}' there must be base64 of ${FEWEST_BYTES} bytes or more; any text without '${PREFIX}' is taken as it is.`

/**
 * @param secrets one, or two while the first replaces the other
 * @returns why it was not received; null where it was
 */
export async function callWebhook(
  { url, secrets }: { url: string; secrets: readonly string[] },
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
        'webhook-signature': secrets.map((secret) => sign(secret, id, timestamp, body)).join(' '),
      },
      body,
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    await response.body?.cancel()
    return response.ok ? null : `It answered with status ${response.status}.`
  } catch (error) {
    return reasonOf(error)
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error.name === 'TimeoutError') return `It did not answer within ${TIMEOUT_MS / 1000} s.`
  const cause = error.cause instanceof Error ? error.cause : error
  // Where a name has several addresses, what each of them said is all there is.
  const causes = cause instanceof AggregateError ? (cause.errors as unknown[]) : [cause]
  const said = causes.map((each) => (each instanceof Error ? each.message : String(each)))
  return said.filter((text) => text !== '').join('; ') || cause.name
}

function sign(secret: string, id: string, timestamp: string, body: string): string {
  const key = secret.startsWith(PREFIX)
    ? Buffer.from(secret.slice(PREFIX.length), 'base64')
    : Buffer.from(secret)
  return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`
}
