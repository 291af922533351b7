// A gateway whose models are deployed, over a real PostgreSQL and versions that a test scripts, with shadows and canaries.

import type { TestContext } from 'node:test'

import { insertShadowAnswer } from '../../gateway/db/shadow-answers.ts'
import { ShadowCopies } from '../../gateway/canary/shadow/shadow-copies.ts'
import { DeployedRoutes } from '../../gateway/routing/deployed-routes.ts'
import { startAdmin } from './admin.ts'
import { openExchangeLog } from './exchange-log.ts'
import { ADMIN_KEY, privacyOf } from './gateway.ts'
import { defer } from './lasting.ts'
import { recordLog } from './logger.ts'
import { ScriptedBackend } from './scripted-backend.ts'
import { FAR_VERSIONS, startTrials } from './trials.ts'
import type { TestPostgres } from './postgres.ts'
import type { TrialsSetup } from './trials.ts'

export async function startTrialGateway(
  t: TestContext,
  postgres: TestPostgres,
  setup: TrialsSetup = {},
) {
  const trials = await startTrials(t, postgres, setup)
  const { pool, deployments } = trials
  const { log: exchangeLog, countRows } = await openExchangeLog(t, pool)
  const backend = new ScriptedBackend()
  const privacy = privacyOf('whole')
  const shadows = new ShadowCopies({
    keep: (row) => insertShadowAnswer(pool, row),
    privacy,
    logger: recordLog().logger,
  })
  defer(t, () => shadows.close())
  const routes = new DeployedRoutes({
    versions: FAR_VERSIONS,
    live: deployments.live,
    adopt: () => Promise.resolve(null),
    local: null,
    upstream: () => backend,
  })
  const admin = await startAdmin(t, pool, {
    deps: { routes, deployments, exchangeLog, shadows, privacy },
  })
  const chat = async (more: object = {}, key = ADMIN_KEY) => {
    const response = await fetch(`${admin.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        model: 'guide',
        messages: [{ role: 'user', content: 'Hi' }],
        ...more,
      }),
    })
    await response.text()
    return {
      status: response.status,
      id: response.headers.get('x-request-id')!,
      version: response.headers.get('x-headrace-version'),
    }
  }
  /** Until every exchange has its row and every copy its answer. */
  const settled = async (exchanges: number) => {
    while (shadows.pending > 0 || (await countRows()) < exchanges) {
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
  const deploy = (body: object) => admin.ask('POST', '/admin/models/guide/deployments', body)
  return { ...trials, ...admin, backend, shadows, chat, settled, deploy, countRows }
}
