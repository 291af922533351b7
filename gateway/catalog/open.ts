// The catalog put to work: folders followed, versions offered to deployments, and guarded by what is deployed.

import { findVersion } from '../db/catalog-versions.ts'
import { versionsOf } from '../deployments/next-state.ts'
import { storedVersions } from '../deployments/version-source.ts'
import { GatewayError } from '../errors.ts'
import { keepLibraryId } from '../../models/library-id.ts'
import { loadedOn, deployedIsLive } from './guards.ts'
import { Registrar } from './registrar.ts'
import { catalogVersions } from './version-source.ts'
import type { Pool } from '../db/pool.ts'
import type { Gate } from '../deployments/switchboard.ts'
import type { VersionSource } from '../deployments/version-source.ts'
import type { Logger } from '../logger.ts'
import type { ModelStore } from '../../models/store.ts'
import type { Runtime } from '../../runtime/client.ts'
import type { Guards } from './guards.ts'

export interface CatalogOptions {
  pool: Pool
  store: ModelStore
  dataDir: string
  /** null: there is none */
  runtime: Pick<Runtime, 'stats'> | null
  logger: Logger
}

export interface OpenCatalog {
  registrar: Registrar
  store: ModelStore
  guards: Guards
  versions: VersionSource
  /** refuses to deploy what isn't ready */
  gate: Gate
  close(): Promise<void>
}

export async function openCatalog(options: CatalogOptions): Promise<OpenCatalog> {
  const { pool, store, dataDir, runtime, logger } = options
  const isLoaded = loadedOn(runtime)
  const library = await keepLibraryId(dataDir)
  const registrar = new Registrar({ pool, store, library, isLoaded, logger })
  await registrar.start()
  return {
    registrar,
    store,
    guards: { liveIn: deployedIsLive, isLoaded },
    versions: catalogVersions(pool, store, storedVersions(store)),
    gate: refuseUnready(pool),
    close: () => registrar.close(),
  }
}

/** Versions that are deployed already stay so: only what a state adds has to be ready. */
function refuseUnready(pool: Pool): Gate {
  return async (_model, state, before) => {
    const deployed = before ? versionsOf(before) : []
    for (const id of versionsOf(state).filter((id) => !deployed.includes(id))) {
      const version = await findVersion(pool, id)
      if (version === null || version.state === 'ready') continue
      throw new GatewayError(
        'invalid_state',
        `${id} is ${version.state}, and only what is ready is deployed.`,
        { param: 'version' },
      )
    }
    return null
  }
}
