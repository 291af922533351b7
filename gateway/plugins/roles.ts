// Who may do what: a hook for routes that not every caller may use.
//
// For `onRequest` (before a body is read) or `preHandler`, after authenticate: `app.addHook('onRequest', requireRole('admin'))`.

import type { FastifyRequest } from 'fastify'

import { GatewayError } from '../errors.ts'
import { ROLES } from '../callers/caller.ts'
import type { Caller, Role } from '../callers/caller.ts'
import type { Actor } from '../db/audit.ts'

/** @param least roles are ranked: an admin may what a developer may, a developer what a caller may */
export function requireRole(least: Role) {
  const rank = ROLES.indexOf(least)
  return async (request: FastifyRequest): Promise<void> => {
    const caller = callerOf(request)
    if (ROLES.indexOf(caller.role) >= rank) return
    throw new GatewayError(
      'insufficient_role',
      `This needs the role ${least}; '${caller.name}' has the role ${caller.role}.`,
    )
  }
}

/** @throws Error where its route doesn't authenticate */
export function callerOf({ caller }: FastifyRequest): Caller {
  if (!caller) throw new Error('A caller is asked for before anybody is known. This is a bug.')
  return caller
}

/** Who is to be named in the audit log. */
export function actorOf(request: FastifyRequest): Actor {
  const { id, name } = callerOf(request)
  // Whoever holds the admin key has no name of their own, but the command line knows who sits there.
  const said = request.headers['x-headrace-actor']
  if (id === null && typeof said === 'string' && /^[\x21-\x7e]{1,192}$/.test(said)) {
    return { id, name: decoded(said), via: 'command_line' }
  }
  return { id, name, via: 'api' }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
