// A gateway whose models are deployed, over a real PostgreSQL and versions that a test scripts, with shadows and canaries.

import type { TestContext } from 'node:test'

import { openTrials } from '../../gateway/canary/open.ts'
import { DeployedRoutes } from '../../gateway/routing/deployed-routes.ts'
import { startAdmin } from './admin.ts'
import { openExchangeLog } from './exchange-log.ts'
import { ADMIN_KEY, privacyOf } from './gateway.ts'
import { defer } from './lasting.ts'
import { recordLog } from './logger.ts'
import { ScriptedBackend } from './scripted-backend.ts'
import { FAR_VERSIONS, startTrials } from './trials.ts'
import type { Backend } from '../../gateway/backends/backend.ts'
import type { TestPostgres } from './postgres.ts'
import type { TrialsSetup } from './trials.ts'

interface TrialGatewaySetup extends TrialsSetup {
  /** who answers instead of the scripted one */
  upstream?: Backend
  /** between two looks at canaries; absent: none is made by itself */
  intervalMs?: number
}

const NEVER_MS = 3_600_000

export async function startTrialGateway(
  t: TestContext,
  postgres: TestPostgres,
  setup: TrialGatewaySetup = {},
) {
  const trials = await startTrials(t, postgres, setup)
  const { pool, deployments } = trials
  const { log: exchangeLog, countRows } = await openExchangeLog(t, pool)
  const backend = new ScriptedBackend()
  const privacy = privacyOf('whole')
  const { canaries, shadows, close } = openTrials({
    pool,
    deployments,
    privacy,
    logger: recordLog().logger,
    intervalMs: setup.intervalMs ?? NEVER_MS,
  })
  defer(t, close)
  const routes = new DeployedRoutes({
    versions: FAR_VERSIONS,
    live: deployments.live,
    adopt: () => Promise.resolve(null),
    local: null,
    upstream: () => setup.upstream ?? backend,
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
  return { ...trials, ...admin, backend, canaries, shadows, chat, settled, deploy, countRows }
}
