// The routes of the catalog, all of them.

import { adminCatalogAttachmentRoutes } from './routes/admin-catalog-attachments.ts'
import { adminCatalogCardRoutes } from './routes/admin-catalog-cards.ts'
import { adminCatalogEvaluationRoutes } from './routes/admin-catalog-evaluations.ts'
import { adminCatalogModelRoutes } from './routes/admin-catalog-models.ts'
import { adminCatalogNoteRoutes } from './routes/admin-catalog-notes.ts'
import { adminCatalogVersionRoutes } from './routes/admin-catalog-versions.ts'
import type { NoteDeps } from './catalog/notes.ts'
import type { VersionDeps } from './catalog/versions.ts'
import type { App } from './request.ts'

/** The library, and what is live of it. */
export type CatalogDeps = Omit<VersionDeps, 'pool'>

/** Numbers are the table's alone, and nothing is live. */
const NO_LIBRARY: CatalogDeps = {
  store: { reserve: () => Promise.resolve(true), remove: () => Promise.resolve() },
  guards: { liveIn: () => Promise.resolve(null), isLoaded: () => Promise.resolve(false) },
}

/** @param deps `catalog` absent: versions are upstreams' alone */
export function catalogRoutes(
  app: App,
  {
    pool,
    language,
    now,
    catalog = NO_LIBRARY,
  }: NoteDeps & { now: () => number; catalog?: CatalogDeps },
) {
  adminCatalogModelRoutes(app, { pool })
  adminCatalogVersionRoutes(app, { pool, ...catalog })
  adminCatalogNoteRoutes(app, { pool, language })
  adminCatalogAttachmentRoutes(app, { pool })
  adminCatalogEvaluationRoutes(app, { pool, now })
  adminCatalogCardRoutes(app, { pool, now, liveIn: catalog.guards.liveIn })
}
