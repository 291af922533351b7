// Which versions may be given traffic: those that are ready. Asked twice: before anything is loaded, and once more by the
// ledger, with their rows locked, as somebody may have put one away meanwhile.
//
// Versions that are deployed already stay so: only what a state adds has to be ready.
//
// Knows: states of versions. Does not know: what is live, who asks.

import { findVersion, lockVersion } from '../db/catalog-versions.ts'
import { versionsOf } from '../deployments/next-state.ts'
import { GatewayError } from '../errors.ts'
import type { CatalogVersion } from '../db/catalog-versions.ts'
import type { Pool } from '../db/pool.ts'
import type { LedgerOptions } from '../deployments/ledger.ts'
import type { TrafficState } from '../deployments/state.ts'
import type { Gate } from '../deployments/switchboard.ts'

export function refuseUnready(pool: Pool): Gate {
  return async (_model, state, before) => {
    for (const id of addedBy(state, before)) requireReady(await findVersion(pool, id))
    return null
  }
}

/**
 * Until the transaction ends nobody archives or deletes what it makes live.
 * @throws GatewayError `invalid_state`
 */
export const holdVersions: NonNullable<LedgerOptions['hold']> = async (
  transaction,
  { action, state },
  before,
) => {
  for (const id of addedBy(state, before)) {
    const version = await lockVersion(transaction, id)
    // Going back is never refused for what a version is called, as long as there is one.
    if (action !== 'rollback' || version?.state === 'deleted') requireReady(version)
  }
}

/** In the same order whoever asks, so that two who lock them don't wait for each other. */
function addedBy(state: TrafficState, before: TrafficState | null): string[] {
  const deployed = new Set(before ? versionsOf(before) : [])
  return [...new Set(versionsOf(state))].filter((id) => !deployed.has(id)).sort()
}

/** @param version null: it was imported a moment ago, and the catalog doesn't have it yet */
function requireReady(version: CatalogVersion | null): void {
  if (version === null || version.state === 'ready') return
  throw new GatewayError(
    'invalid_state',
    `${version.id} is ${version.state}, and only what is ready is deployed.`,
    { param: 'version' },
  )
}
