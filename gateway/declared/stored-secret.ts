// A stored upstream's secrets, its key and its headers, as one sealed text; and what may be shown of them.
//
// Knows: sealing, declarations. Does not know: tables.

import { hintOf } from '../secrets.ts'
import type { SecretHints } from '../db/upstreams.ts'
import type { Keyring } from '../secrets.ts'
import type { DeclaredUpstream } from './schema.ts'

export type UpstreamSecret = Pick<DeclaredUpstream, 'key' | 'headers'>

/** @returns null where there is nothing to keep @throws SecretError without a key to seal with */
export function sealSecret(
  keyring: Keyring,
  name: string,
  { key, headers }: UpstreamSecret,
): string | null {
  const hasNone = key === undefined && Object.keys(headers ?? {}).length === 0
  return hasNone ? null : keyring.seal(JSON.stringify({ key, headers }), ownerOf(name))
}

/** @throws SecretError */
export function openSecret(keyring: Keyring, name: string, sealed: string | null): UpstreamSecret {
  // Written by sealSecret, and authenticated since.
  return sealed === null ? {} : (JSON.parse(keyring.open(sealed, ownerOf(name))) as UpstreamSecret)
}

export function hintsOf({ key, headers }: UpstreamSecret): SecretHints {
  return {
    ...(key !== undefined && { key: hintOf(key) }),
    ...(headers && {
      headers: Object.fromEntries(
        Object.entries(headers).map(([name, value]) => [name, hintOf(value)]),
      ),
    }),
  }
}

const ownerOf = (name: string) => `upstream ${name}`
