// Ids of Gemini's function calls, which carry what the model wants back with them.
//
// Gemini matches results to calls by name and order, and gives ids to neither; but later generations sign the thought
// that led to a call and refuse the next turn without that signature. No client's dialect has a place for it, and all of
// them give back a call's id as it was: so the signature travels there.

import { randomUUID } from 'node:crypto'

const SEPARATOR = '_sig_'

/** @param signature base64, as it came; empty: none */
export function callIdWith(signature: string): string {
  const id = `call_${randomUUID().replaceAll('-', '')}`
  if (signature === '') return id
  // Clients' ids are letters, digits, "_" and "-".
  return id + SEPARATOR + Buffer.from(signature, 'base64').toString('base64url')
}

/** null where there is none */
export function signatureIn(id: string): string | null {
  const at = id.startsWith('call_') ? id.indexOf(SEPARATOR) : -1
  if (at < 0) return null
  return Buffer.from(id.slice(at + SEPARATOR.length), 'base64url').toString('base64')
}
