// A gateway whose catalog follows a real library: version folders of a few bytes, real tables.

import { randomUUID } from 'node:crypto'
import type { TestContext } from 'node:test'

import { deployedIsLive } from '../../gateway/catalog/guards.ts'
import { Registrar } from '../../gateway/catalog/registrar.ts'
import { ModelStore } from '../../models/store.ts'
import { scratchFolder } from '../models/scratch.ts'
import { startAdmin } from './admin.ts'
import { recordLog } from './logger.ts'
import type { Guards } from '../../gateway/catalog/guards.ts'
import type { Pool } from '../../gateway/db/pool.ts'
import type { TestPostgres } from './postgres.ts'

export async function startCatalog(
  t: TestContext,
  postgres: TestPostgres | Pool,
  { liveIn = deployedIsLive }: Partial<Pick<Guards, 'liveIn'>> = {},
) {
  const dataDir = await scratchFolder(t)
  const store = new ModelStore(dataDir)
  /** ids of versions that an engine holds */
  const loaded = new Set<string>()
  const guards = {
    liveIn,
    isLoaded: (id: string) => Promise.resolve(loaded.has(id)),
  }
  const upstreams = () => Promise.resolve(['openai', 'azure'])
  const admin = await startAdmin(t, postgres, {
    deps: { catalog: { store, guards, upstreams } },
  })
  const { logger, lines } = recordLog()
  const registrarOf = (folder: ModelStore, intervalMs?: number) =>
    new Registrar({
      pool: admin.pool,
      store: folder,
      library: randomUUID(),
      isLoaded: guards.isLoaded,
      logger,
      intervalMs,
    })
  const registrar = registrarOf(store)
  return { ...admin, dataDir, store, loaded, lines, registrar, registrarOf }
}
