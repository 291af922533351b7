// Whoever calls, and what they may: a key, a token of an identity provider, or the holder of the admin key.
//
// Knows: words. Does not know: where callers are kept, how limits are counted.

import type { BodyPolicy } from './body-policy.ts'

export const ROLES = ['caller', 'developer', 'admin'] as const
/** `caller` asks models; `developer` also reads the catalog; `admin` may everything. */
export type Role = (typeof ROLES)[number]

/** Absent fields: no limit of this kind. */
export interface Limits {
  requestsPerMinute?: number
  tokensPerMinute?: number
  concurrentRequests?: number
  dailyUsd?: number
  monthlyUsd?: number
  dailyTokens?: number
  monthlyTokens?: number
}

export interface Caller {
  /** of the key, or made of a token's issuer and subject; null for the holder of the admin key, who is in no table */
  id: string | null
  name: string
  role: Role
  project: { id: string; name: string; limits: Limits } | null
  limits: Limits
  /** patterns of model names, `*` for any characters; null: all of them */
  allowedModels: string[] | null
  tags: Record<string, string>
  /** answers to equal questions may be given again; null: as the model says */
  cacheSeconds: number | null
  /** what is kept of texts: the stricter of its own and its project's; null: as the server says */
  bodies: BodyPolicy | null
  /** null: never */
  expiresAt: Date | null
}

/** The holder of the admin key. */
export const ADMIN: Caller = {
  id: null,
  name: 'admin',
  role: 'admin',
  project: null,
  limits: {},
  allowedModels: null,
  tags: {},
  cacheSeconds: null,
  bodies: null,
  expiresAt: null,
}

export function mayAsk(caller: Caller, model: string): boolean {
  return (
    caller.allowedModels === null || caller.allowedModels.some((pattern) => matches(pattern, model))
  )
}

/** `*` stands for any characters, everything else for itself. */
function matches(pattern: string, name: string): boolean {
  const [first = '', ...rest] = pattern.split('*')
  if (rest.length === 0) return pattern === name
  if (!name.startsWith(first)) return false
  const last = rest.pop() ?? ''
  let at = first.length
  for (const part of rest) {
    const found = name.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return name.length - last.length >= at && name.endsWith(last)
}
