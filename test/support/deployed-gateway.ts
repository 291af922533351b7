// Gateways over one PostgreSQL and one library, whose versions are loaded by a real runtime and deployed by the API.

import type { TestContext } from 'node:test'

import { LocalBackend } from '../../gateway/backends/local.ts'
import { migrate } from '../../gateway/db/migrate.ts'
import { openDeployments } from '../../gateway/deployments/open.ts'
import { storedVersions } from '../../gateway/deployments/version-source.ts'
import { DeployedRoutes } from '../../gateway/routing/deployed-routes.ts'
import { ModelStore } from '../../models/store.ts'
import { createRuntimeClient } from '../../runtime/client.ts'
import { startRuntime } from '../../runtime/main.ts'
import { startAdmin } from './admin.ts'
import { openExchangeLog } from './exchange-log.ts'
import { defer } from './lasting.ts'
import { recordLog } from './logger.ts'
import { recordingLogger, temporaryFolder } from './runtime.ts'
import type { DeploymentsOptions } from '../../gateway/deployments/open.ts'
import type { Pool } from '../../gateway/db/pool.ts'
import type { Runtime } from '../../runtime/client.ts'
import type { TestPostgres } from './postgres.ts'

export type ReplicaOptions = Partial<Omit<DeploymentsOptions, 'pool' | 'runtime'>>

/** A library with a runtime, and as many gateways over it as are asked for. */
export async function startFleet(t: TestContext, postgres: TestPostgres) {
  const pool = await postgres.pool(t)
  await migrate(pool)
  const dataDir = await temporaryFolder(t)
  const host = await startRuntime(
    { dataDir, address: `unix:${dataDir}/runtime.sock`, drainMs: 5_000, threads: 1, slots: 4 },
    recordingLogger([]),
  )
  const runtime = createRuntimeClient({ address: host.address })
  defer(t, async () => {
    await runtime.close()
    await host.close()
  })
  return {
    pool,
    dataDir,
    runtime,
    replica: (options: ReplicaOptions = {}) =>
      startReplica(t, { pool, dataDir, runtime, ...options }),
    /** versions that are ready */
    loaded: async () =>
      (await runtime.stats()).engines
        .flatMap(({ version, state }) => (state === 'ready' ? version : []))
        .sort(),
  }
}

async function startReplica(
  t: TestContext,
  {
    pool,
    dataDir,
    runtime,
    ...options
  }: ReplicaOptions & { pool: Pool; dataDir: string; runtime: Runtime },
) {
  const { log: exchangeLog } = await openExchangeLog(t, pool)
  const { logger } = recordLog()
  const versions = storedVersions(new ModelStore(dataDir))
  const deployments = await openDeployments({
    pool,
    versions,
    runtime,
    isDeclared: () => false,
    keepMs: 600_000,
    logger,
    tickMs: 50,
    ...options,
  })
  deployments.start()
  defer(t, () => deployments.close())
  const routes = new DeployedRoutes({
    versions,
    live: deployments.live,
    adopt: (model) => deployments.adoption.adopt(model),
    local: new LocalBackend({ runtime, loadWaitMs: 10_000 }),
    upstream: () => undefined,
  })
  const admin = await startAdmin(t, pool, { deps: { routes, deployments, exchangeLog } })
  const chat = async (model: string, more: object = {}, headers: Record<string, string> = {}) => {
    const messages = [{ role: 'user', content: 'a b c' }]
    const response = await fetch(`${admin.url}/v1/chat/completions`, {
      method: 'POST',
      headers: {
        authorization: 'Bearer an-admin-key',
        'content-type': 'application/json',
        ...headers,
      },
      body: JSON.stringify({ model, messages, max_tokens: 4, ...more }),
    })
    const text = await response.text()
    const deployment = response.headers.get('x-headrace-deployment')
    return {
      status: response.status,
      text,
      id: response.headers.get('x-request-id')!,
      version: response.headers.get('x-headrace-version'),
      deployment: deployment === null ? null : Number(deployment),
    }
  }
  const deploy = (model: string, body: object) =>
    admin.ask('POST', `/admin/models/${model}/deployments`, body)
  const rollback = (model: string, body: object = {}) =>
    admin.ask('POST', `/admin/models/${model}/rollback`, body)
  return { ...admin, deployments, exchangeLog, chat, deploy, rollback }
}
