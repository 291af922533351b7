// What is at /admin, all of it.
//
// Knows: what there is. Does not know: who may ask, which each route says.

import { catalogRoutes } from './catalog-routes.ts'
import { adminAnalyticsRoutes } from './routes/admin-analytics.ts'
import { adminAuditRoutes } from './routes/admin-audit.ts'
import { adminCanaryRoutes } from './routes/admin-canaries.ts'
import { adminDeploymentRoutes } from './routes/admin-deployments.ts'
import { adminEndUserRoutes } from './routes/admin-end-users.ts'
import { adminEngineRoutes } from './routes/admin-engines.ts'
import { adminExchangeTailRoute } from './routes/admin-exchange-tail.ts'
import { adminExchangeRoutes } from './routes/admin-exchanges.ts'
import { adminExportRoutes } from './routes/admin-export.ts'
import { adminFeedbackSumRoutes } from './routes/admin-feedback-sums.ts'
import { adminFeedbackRoutes } from './routes/admin-feedback.ts'
import { adminKeyRoutes } from './routes/admin-keys.ts'
import { adminProjectRoutes } from './routes/admin-projects.ts'
import { adminScoreRoutes } from './routes/admin-scores.ts'
import { adminWebhookRoutes } from './routes/admin-webhooks.ts'
import { declaredRoutes } from './routes/declared.ts'
import type { EngineAdministration } from './administration/engines.ts'
import type { WebhookDeps } from './administration/webhooks.ts'
import type { CatalogDeps } from './catalog-routes.ts'
import type { Pool } from './db/pool.ts'
import type { Deployments } from './deployments/open.ts'
import type { FeedbackDesk } from './feedback/desk.ts'
import type { Privacy } from './privacy/privacy.ts'
import type { Readiness } from './process/readiness.ts'
import type { App } from './request.ts'
import type { DeclaredDeps } from './routes/declared.ts'

/** What not every gateway has. */
export interface AdministeredParts {
  /** absent: there is no runtime */
  engines?: Pick<EngineAdministration, 'residency' | 'versions'>
  /** absent: nothing is deployed */
  deployments?: Pick<Deployments, 'switchboard'>
  /** absent: nobody is told of deployments */
  webhooks?: Pick<WebhookDeps, 'webhooks' | 'keyring'>
  /** absent: nothing is declared by the admin API */
  declared?: DeclaredDeps
  /** the library, and what is live of it; absent: versions are upstreams' alone */
  catalog?: CatalogDeps
}

interface AdminRouteDeps extends AdministeredParts {
  pool: Pool
  privacy: Privacy
  readiness: Readiness
  desk: FeedbackDesk
  /** PostgreSQL's text search configuration of what was said */
  language: string
  /** milliseconds since 1970, monotonic */
  now: () => number
  /** keys or projects are not what they were */
  onChange: () => void
}

export function adminRoutes(app: App, deps: AdminRouteDeps) {
  const { pool, privacy, readiness, desk, language, now, onChange, catalog, engines = null } = deps
  const { pseudonyms } = privacy
  adminProjectRoutes(app, { pool, onChange })
  adminKeyRoutes(app, { pool, onChange })
  adminAuditRoutes(app, { pool })
  adminExchangeRoutes(app, { pool, language, pseudonyms })
  adminExchangeTailRoute(app, { pool, pseudonyms, readiness })
  adminExportRoutes(app, { pool, pseudonyms })
  adminEngineRoutes(app, { pool, engines })
  adminEndUserRoutes(app, { pool, privacy })
  adminFeedbackRoutes(app, { pool, desk, pseudonyms })
  adminFeedbackSumRoutes(app, { pool })
  adminScoreRoutes(app, { pool, privacy, now })
  adminAnalyticsRoutes(app, { pool, now })
  adminCanaryRoutes(app, { pool, now })
  if (deps.deployments) adminDeploymentRoutes(app, { pool, ...deps.deployments })
  if (deps.webhooks) adminWebhookRoutes(app, { pool, ...deps.webhooks })
  catalogRoutes(app, { pool, language, now, catalog })
  const { declared } = deps
  if (!declared) return
  app.register((declarations: App, _options, done) => {
    declaredRoutes(declarations, declared)
    done()
  })
}
