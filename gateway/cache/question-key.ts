// When two questions are the same: a digest of all that makes an answer, and of who may get it.
//
// The order of an object's keys means nothing, that of a list everything. The id of the exchange, how the answer is sent
// and the end user's name change no answer. A project's answers are its own: its id is part of the digest, so that
// there is no way to ask for another's.
//
// Knows: questions. Does not know: where answers are kept.

import { createHash } from 'node:crypto'

import type { Question } from '../backends/backend.ts'
import type { Caller } from '../callers/caller.ts'
import type { Target } from '../routing/route.ts'

export interface Scope {
  caller: Caller
  /** all that may answer: a new version gives new answers */
  targets: Target[]
}

/** @throws RangeError for a question that is nested too deep to be written down */
export function keyOfQuestion(question: Question, { caller, targets }: Scope): string {
  const { id: _id, promptParam: _param, isStreamed: _streamed, user: _user, ...asked } = question
  // What isn't understood here means what it means in its own dialect; all else is the same in any.
  const dialect = Object.keys(asked.extra).length > 0 ? asked.dialect : null
  const versions = targets.map(({ version, asks }) => `${version} ${asks}`).sort()
  const owner = caller.project ? `project ${caller.project.id}` : `key ${caller.id ?? 'admin'}`
  const hash = createHash('sha256')
  hash.update(canonicalJson([owner, versions, { ...asked, dialect }]))
  return hash.digest('base64url')
}

/** JSON with sorted keys; what is undefined is left out, as JSON.stringify does. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
}
