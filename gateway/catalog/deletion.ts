// The end of a version. Its row is marked first and stays, with what was said of it: its id is in the log. Its folder goes
// then; where the process dies between the two, the registrar finishes it (registrar.ts).
//
// Knows: the order of things. Does not know: HTTP, how a folder is removed.

import { lockVersion, updateVersion } from '../db/catalog-versions.ts'
import { inTransaction } from '../db/transaction.ts'
import { GatewayError } from '../errors.ts'
import { StoreError } from '../../models/store.ts'
import { refuseLive } from './life.ts'
import { noVersion, recordVersion } from './versions.ts'
import type { Actor } from '../db/audit.ts'
import type { CatalogVersion } from '../db/catalog-versions.ts'
import type { VersionDeps } from './versions.ts'

/** @throws GatewayError `version_not_found`, `version_live`, `version_loaded` */
export async function deleteVersion(
  { pool, store, guards }: VersionDeps,
  actor: Actor,
  id: string,
): Promise<CatalogVersion> {
  const deleted = await inTransaction(pool, async (transaction) => {
    const before = await lockVersion(transaction, id)
    if (!before || before.state === 'deleted') throw noVersion(id)
    await refuseLive(id, 'deleted', guards, transaction)
    if (before.kind === 'local' && (await guards.isLoaded(id))) {
      throw new GatewayError(
        'version_loaded',
        `${id} can't be deleted, as an engine holds it. Unload it first.`,
      )
    }
    const after: CatalogVersion = { ...before, state: 'deleted', updatedAt: new Date() }
    await updateVersion(transaction, after)
    await recordVersion(transaction, actor, 'delete', before, after)
    return after
  })
  if (deleted.kind === 'local') await removeFolder(store, id)
  return deleted
}

async function removeFolder(store: VersionDeps['store'], id: string): Promise<void> {
  try {
    await store.remove(id)
  } catch (error) {
    // It was gone already, or another gateway has it, whose registrar removes it.
    if (!(error instanceof StoreError)) throw error
  }
}
