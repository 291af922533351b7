// Asks every request of its routes for a key, and tells who calls.

import type { IncomingHttpHeaders } from 'node:http'

import { GatewayError } from '../errors.ts'
import type { KeyCache } from './key-cache.ts'
import type { App } from '../request.ts'

export function authenticate(app: App, keys: KeyCache) {
  app.addHook('onRequest', async (request, reply) => {
    const key = keyOf(request.headers)
    const caller = key === null ? null : await keys.identify(key)
    if (!caller) {
      reply.header('www-authenticate', 'Bearer')
      throw new GatewayError(
        'invalid_api_key',
        key === null
          ? "You didn't provide an API key. Send it in a header: Authorization: Bearer YOUR_KEY."
          : 'Incorrect API key provided: it is unknown here or was revoked.',
      )
    }
    request.caller = caller
    request.exchange?.calledBy(caller)
  })
}

/** Anthropic's clients send theirs in a header of its own. */
function keyOf(headers: IncomingHttpHeaders): string | null {
  const key = headers['x-api-key']
  return bearerToken(headers.authorization) ?? (typeof key === 'string' && key !== '' ? key : null)
}

/** The scheme's name is case-insensitive (RFC 9110, section 11.1). */
export function bearerToken(header: string | undefined): string | null {
  return /^Bearer +(\S+) *$/i.exec(header ?? '')?.[1] ?? null
}
