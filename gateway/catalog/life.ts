// The life of a version: draft → ready → archived, and back from there.
//
// Whoever deploys a version locks its row first, as is done before this is asked: what is live isn't archived meanwhile.
//
// Knows: states, what stands in the way. Does not know: what else is said of a version.

import { GatewayError } from '../errors.ts'
import type { CatalogVersion, VersionState } from '../db/catalog-versions.ts'
import type { Queryable } from '../db/pool.ts'
import type { Guards, Standing } from './guards.ts'

const NEXT: Record<VersionState, VersionState[]> = {
  draft: ['ready'],
  ready: ['archived'],
  archived: ['ready'],
  deleted: [],
}

/**
 * @param transaction in which the version's row is locked
 * @returns the state that it has from now on
 * @throws GatewayError `invalid_state`, `version_live`
 */
export async function changeState(
  { id, state: before }: CatalogVersion,
  after: VersionState,
  guards: Pick<Guards, 'liveIn'>,
  transaction: Queryable,
): Promise<VersionState> {
  if (before === after) return after
  if (!NEXT[before].includes(after)) {
    const [next] = NEXT[before]
    throw new GatewayError(
      'invalid_state',
      `${id} is ${before} and can't become ${after}; it can become ${next ?? 'nothing else'}.`,
      { param: 'state' },
    )
  }
  if (after === 'archived') await refuseLive(id, 'archived', guards, transaction)
  return after
}

const WAY_OUT: Record<Standing['role'], string> = {
  live: 'Let another version answer first.',
  canary: 'Promote it or go back first.',
  shadow: 'End the shadow first.',
  fallback: 'Deploy without it as a fallback first.',
  declared: 'Declare another target first.',
}

/** @throws GatewayError `version_live` */
export async function refuseLive(
  id: string,
  what: 'archived' | 'deleted',
  { liveIn }: Pick<Guards, 'liveIn'>,
  transaction: Queryable,
): Promise<void> {
  const standing = await liveIn(id, transaction)
  if (standing === null) return
  const { role, why } = standing
  throw new GatewayError('version_live', `${id} can't be ${what}: ${why}. ${WAY_OUT[role]}`)
}
