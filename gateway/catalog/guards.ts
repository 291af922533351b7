// What stands in the way of taking a version out of use: that it answers for its model, or is loaded.
//
// Knows: questions. Does not know: who answers them.

import { RuntimeError } from '../../runtime/client.ts'
import { servesVersion } from '../../runtime/protocol.ts'
import { findNewestLocal } from '../db/catalog-versions.ts'
import { listLiveSince } from '../db/deployments.ts'
import { versionsOf } from '../deployments/next-state.ts'
import { fromRuntimeFailure } from '../errors.ts'
import type { Runtime } from '../../runtime/client.ts'
import type { Queryable } from '../db/pool.ts'

export interface Guards {
  /**
   * What makes a version answer without being named, in words that go on "it is live: …"; null: nothing does.
   * @param db the transaction in which the version's row is locked
   */
  liveIn(versionId: string, db: Queryable): Promise<string | null>
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
  const deployed = live.find(({ state }) => versionsOf(state).includes(versionId))
  if (deployed) return `it is in deployment ${deployed.number} of ${deployed.model}`
  if (live.some((each) => each.model === model)) return null
  const newest = await findNewestLocal(db, model)
  return newest === versionId ? `it is the newest version of ${model}` : null
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
