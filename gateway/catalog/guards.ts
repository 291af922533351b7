// What stands in the way of taking a version out of use: its part in what is live, or that it is loaded.
//
// Knows: questions. Does not know: who answers them.

import { RuntimeError } from '../../runtime/client.ts'
import { servesVersion } from '../../runtime/protocol.ts'
import { findNewestLocal } from '../db/catalog-versions.ts'
import { listLiveSince } from '../db/deployments.ts'
import { fromRuntimeFailure } from '../errors.ts'
import type { Runtime } from '../../runtime/client.ts'
import type { Deployment } from '../db/deployments.ts'
import type { Queryable } from '../db/pool.ts'

/** What a version is to the traffic of a model. */
export interface Standing {
  role: 'live' | 'canary' | 'shadow' | 'fallback' | 'declared'
  /** in words that go on "… can't be archived: …" */
  why: string
}

export interface Guards {
  /**
   * What makes a version answer without being named; null: nothing does.
   * @param db the transaction in which the version's row is locked
   */
  liveIn(versionId: string, db: Queryable): Promise<Standing | null>
  /** An engine holds it, on any host. */
  isLoaded(versionId: string): Promise<boolean>
}

/**
 * What the ledger says. Of a model that nothing was deployed of the newest version of the library is to answer, as soon as a
 * gateway sees it.
 */
export const deployedIsLive: Guards['liveIn'] = async (versionId, db) => {
  const model = versionId.slice(0, versionId.lastIndexOf('@'))
  const live = await listLiveSince(db, 0)
  // Its own model's first: it may be a fallback of another one as well.
  for (const each of live.toSorted(
    (a, b) => Number(b.model === model) - Number(a.model === model),
  )) {
    const standing = standingIn(each, versionId)
    if (standing) return standing
  }
  if (live.some((each) => each.model === model)) return null
  const newest = await findNewestLocal(db, model)
  if (newest !== versionId) return null
  return { role: 'live', why: `it is the newest version of ${model}` }
}

function standingIn({ model, number, state }: Deployment, versionId: string): Standing | null {
  const { targets, canary, shadow, fallbacks } = state
  const where = `deployment ${number} of ${model}`
  const share = (part: number) => `${Number((part * 100).toFixed(2))} %`
  if (targets.some(({ version }) => version === versionId)) {
    return { role: 'live', why: `it is live in ${where}` }
  }
  if (canary?.version === versionId) {
    return { role: 'canary', why: `it is the canary of ${where}, at ${share(canary.share)}` }
  }
  if (fallbacks.includes(versionId)) {
    return { role: 'fallback', why: `it is a fallback of ${where}` }
  }
  if (shadow?.version !== versionId) return null
  return { role: 'shadow', why: `it is the shadow of ${where}, at ${share(shadow.share)}` }
}

/** @param modelNaming the declared model that names a version; null: none does */
export function declaredIsLive(
  liveIn: Guards['liveIn'],
  modelNaming: (versionId: string) => string | null,
): Guards['liveIn'] {
  return async (versionId, db) => {
    const standing = await liveIn(versionId, db)
    const model = standing ? null : modelNaming(versionId)
    if (model === null) return standing
    return { role: 'declared', why: `the declared model '${model}' names it` }
  }
}

/** @param runtime null: there is none, and so no engine */
export function loadedOn(runtime: Pick<Runtime, 'stats'> | null): Guards['isLoaded'] {
  return async (versionId) => {
    if (runtime === null) return false
    try {
      const { engines } = await runtime.stats()
      return engines.some((engine) => servesVersion(engine, versionId) && engine.state !== 'failed')
    } catch (error) {
      // A version that nobody can be asked about may be in use.
      throw error instanceof RuntimeError ? fromRuntimeFailure(error.failure, '', error) : error
    }
  }
}
