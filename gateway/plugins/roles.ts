// Who may do what: a hook for routes that not every caller may use.
//
// For `onRequest` (before a body is read) or `preHandler`, after authenticate: `app.addHook('onRequest', requireRole('admin'))`.

import type { FastifyRequest } from 'fastify'

import { GatewayError } from '../errors.ts'
import { ROLES } from '../callers/caller.ts'
import type { Role } from '../callers/caller.ts'

/** @param least roles are ranked: an admin may what a developer may, a developer what a caller may */
export function requireRole(least: Role) {
  const rank = ROLES.indexOf(least)
  return async ({ caller }: FastifyRequest): Promise<void> => {
    if (!caller) throw new Error('A role is asked for before anybody is known. This is a bug.')
    if (ROLES.indexOf(caller.role) >= rank) return
    throw new GatewayError(
      'insufficient_role',
      `This needs the role ${least}; '${caller.name}' has the role ${caller.role}.`,
    )
  }
}
