// The catalog, for commands: the database, and the version folders of this machine's library told to it first, so that what
// was imported a moment ago is there whether a server runs or not.

import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { deployedIsLive } from '../gateway/catalog/guards.ts'
import { getCatalogModel } from '../gateway/catalog/models.ts'
import { Registrar } from '../gateway/catalog/registrar.ts'
import { getVersion } from '../gateway/catalog/versions.ts'
import { keepLibraryId } from '../models/library-id.ts'
import { ModelStore } from '../models/store.ts'
import { withDatabase } from './database.ts'
import type { Guards } from '../gateway/catalog/guards.ts'
import type { Actor } from '../gateway/db/audit.ts'
import type { Pool } from '../gateway/db/pool.ts'
import type { Reference } from './catalog-arguments.ts'
import type { DatabaseCommandDeps } from './database.ts'

interface Catalog {
  pool: Pool
  actor: Actor
  liveIn: Guards['liveIn']
  /** PostgreSQL's text search configuration */
  language: string
}

/** Runs a command's work and writes what it returns; null: it has said everything itself. */
export type WithCatalog = (work: (catalog: Catalog) => Promise<string | null>) => Promise<void>

export function withCatalog(deps: DatabaseCommandDeps): WithCatalog {
  const run = withDatabase(deps)
  return (work) =>
    run(async (pool, actor) => {
      const settings = deps.loadSettings()
      const { dataDir, searchLanguage: language } = settings
      if (existsSync(join(dataDir, 'models'))) {
        const registrar = new Registrar({
          pool,
          store: new ModelStore(dataDir),
          library: await keepLibraryId(dataDir),
          // Nobody here knows; what was deleted is for a server to finish.
          isLoaded: () => Promise.resolve(true),
          logger: deps.createLogger(settings),
        })
        await registrar.sync()
      }
      return work({ pool, actor, liveIn: deployedIsLive, language })
    })
}

/** @returns the version's id; undefined: the model was named alone @throws GatewayError where the catalog has none */
export async function requireReference(
  pool: Pool,
  { model, number }: Reference,
): Promise<string | undefined> {
  if (number !== null) return (await getVersion(pool, `${model}@${number}`)).id
  await getCatalogModel(pool, model)
  return undefined
}
