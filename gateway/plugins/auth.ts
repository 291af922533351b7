// Asks every request of its routes for a key or a token, and tells who calls.

import type { IncomingHttpHeaders } from 'node:http'

import { GatewayError } from '../errors.ts'
import type { Identities } from '../callers/identities.ts'
import type { App } from '../request.ts'

export function authenticate(app: App, identities: Identities) {
  app.addHook('onRequest', async (request, reply) => {
    try {
      const caller = await identify(request.headers, identities)
      request.caller = caller
      request.exchange?.calledBy(caller)
    } catch (error) {
      const isRefused = error instanceof GatewayError && error.kind.status === 401
      if (isRefused) reply.header('www-authenticate', 'Bearer')
      throw error
    }
  })
}

async function identify(headers: IncomingHttpHeaders, identities: Identities) {
  const credential = credentialOf(headers)
  if (credential === null) {
    throw new GatewayError(
      'invalid_api_key',
      "You didn't provide an API key. Send it in a header: Authorization: Bearer YOUR_KEY.",
    )
  }
  const caller = await identities.identify(credential)
  if (caller) return caller
  throw new GatewayError(
    'invalid_api_key',
    'Incorrect API key provided: it is unknown here, was revoked, or belongs to an archived project.',
  )
}

/** `Authorization` as OpenAI's clients send it, else `x-api-key`, as Anthropic's do. */
function credentialOf(headers: IncomingHttpHeaders): string | null {
  const key = headers['x-api-key']
  return bearerToken(headers.authorization) ?? (typeof key === 'string' && key !== '' ? key : null)
}

/** The scheme's name is case-insensitive (RFC 9110, section 11.1). */
export function bearerToken(header: string | undefined): string | null {
  return /^Bearer +(\S+) *$/i.exec(header ?? '')?.[1] ?? null
}
