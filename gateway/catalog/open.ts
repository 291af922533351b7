// The catalog put to work: folders followed, versions offered to deployments, and guarded by what is deployed.

import { storedVersions } from '../deployments/version-source.ts'
import { keepLibraryId } from '../../models/library-id.ts'
import { holdVersions, refuseUnready } from './deployable.ts'
import { loadedOn, deployedIsLive } from './guards.ts'
import { Registrar } from './registrar.ts'
import { catalogVersions } from './version-source.ts'
import type { Pool } from '../db/pool.ts'
import type { LedgerOptions } from '../deployments/ledger.ts'
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
  /** … nor to write down as live what became unready meanwhile */
  hold: NonNullable<LedgerOptions['hold']>
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
    hold: holdVersions,
    close: () => registrar.close(),
  }
}
