// The digest of a local version: of everything that makes its answers, and of nothing else. Two that are equal answer alike,
// whatever they are called and whenever they were made.

import { createHash } from 'node:crypto'

import type { Manifest } from '../../models/manifest.ts'

/**
 * What of a manifest makes answers, beside the files whose checksums it has. Named one by one, so that a field which is filled
 * in for older manifests one day doesn't change their digests.
 */
const MAKES_ANSWERS = ['files', 'tokenizer', 'chatTemplate', 'contextLength', 'sampling', 'output']

/** of a manifest that is read once and looked at every few seconds */
const known = new WeakMap<Manifest, string>()

/** @returns sha256, in hexadecimal digits */
export function digestOf(manifest: Manifest): string {
  let digest = known.get(manifest)
  if (digest === undefined) {
    const made = Object.entries(manifest).filter(([name]) => MAKES_ANSWERS.includes(name))
    const text = JSON.stringify(sorted(Object.fromEntries(made)))
    digest = createHash('sha256').update(text).digest('hex')
    known.set(manifest, digest)
  }
  return digest
}

/** Members in the order of their names: a manifest that was written anew has the same digest. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value).map(([name, each]) => [name, sorted(each)] as const)
  return Object.fromEntries(members.sort(([a], [b]) => (a < b ? -1 : 1)))
}
