// The gateway, made of its parts: in the order in which they depend on each other, and stopped in reverse.
//
// Knows: what there is and in which order. Does not know: where settings come from, who starts runtimes, how models
// come to be in the data folder.

import type { AddressInfo } from 'node:net'
import type { FastifyBaseLogger } from 'fastify'

import { keepAdminKey } from './callers/admin-key.ts'
import { buildApp } from './app.ts'
import { LocalBackend } from './backends/local.ts'
import { AnswerStore } from './cache/answer-store.ts'
import { ResponseCache } from './cache/response-cache.ts'
import { declaredIsLive } from './catalog/guards.ts'
import { openCatalog } from './catalog/open.ts'
import { evaluationGateOf, openTrials } from './canary/open.ts'
import { issuerOf } from './callers/identities.ts'
import { isLoopback } from './settings/config.ts'
import { findCallerByKeyHash, hashKey } from './db/api-keys.ts'
import { openDatabase } from './db/database.ts'
import { openDeclared } from './declared/open.ts'
import { connectionOf } from './db/pool.ts'
import { openDeployments } from './deployments/open.ts'
import { drain } from './process/drain.ts'
import { UpstreamModels } from './deployments/upstream-models.ts'
import { Webhooks } from './deployments/webhooks.ts'
import { sumSpend } from './db/spend.ts'
import { findProjectOfCallers } from './db/projects.ts'
import { readPseudonymKey } from './db/pseudonym-key.ts'
import { deleteExpiredResponses } from './db/responses.ts'
import { ScheduledExport } from './export/scheduled-export.ts'
import { openFeedback } from './feedback/open.ts'
import { openExchangeLog } from './exchange-log/open.ts'
import { describeListenError, OpenAnswers, urlOf } from './process/listening.ts'
import { Admission } from './limits/admission.ts'
import { openLimits } from './limits/open-limits.ts'
import { Metrics } from './metrics/metrics.ts'
import { Privacy } from './privacy/privacy.ts'
import { Readiness } from './process/readiness.ts'
import { KeptResponses } from './responses/kept-responses.ts'
import { sweepExpired } from './responses/sweep.ts'
import { Router } from './routing/router.ts'
import { DeployedRoutes } from './routing/deployed-routes.ts'
import { connectRedis } from './process/redis.ts'
import { openResidency } from './residency/open.ts'
import { Keyring } from './secrets.ts'
import { openTraces } from './traces/open.ts'
import { ModelStore } from '../models/store.ts'
import type { AdminKey } from './callers/admin-key.ts'
import type { Exchange } from './exchange/exchange.ts'
import type { Residency } from './residency/residency.ts'
import type { RuntimeAddresses } from './residency/open.ts'
import type { Settings } from './settings/settings.ts'
import type { Deployments } from './deployments/open.ts'
import type { VersionSource } from './deployments/version-source.ts'
import type { Runtime } from '../runtime/client.ts'

export interface GatewayOptions {
  settings: Settings
  /** of this build */
  release: string
  /** none: upstreams alone answer */
  runtimes: RuntimeAddresses
  logger: FastifyBaseLogger
  /** what `${NAME}` in headrace.yaml stands for */
  env: Record<string, string | undefined>
  /** where proofs have the process die; see deployments/fault-point.ts */
  faultPoint?: string
  /** ends the wait for a database that is not up yet */
  signal?: AbortSignal
}

export interface Gateway {
  url: string
  adminKey: AdminKey
  /** not ready yet: that is for whoever prepares the default model to say */
  readiness: Readiness
  /** null: there is none, and local versions answer for nothing */
  runtime: Runtime | null
  /** what is to stay loaded; null where there is no runtime */
  residency: Residency | null
  models: ModelStore
  /** of the library and of upstreams */
  versions: VersionSource
  deployments: Deployments
  /** Lets running answers end, refuses new ones, writes the log. @param hurry cuts what still runs */
  close(hurry: AbortSignal): Promise<void>
}

const DAY_MS = 24 * 60 * 60_000

/**
 * Starts a gateway that listens; its data folder's lock is held by the caller.
 * @throws Error that says what is in the way, with everything undone that was begun
 */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { settings, release, runtimes, logger, signal } = options
  const { host, port, dataDir, databaseUrl, drainMs } = settings
  await using started = new AsyncDisposableStack()

  const adminKey = await keepAdminKey(dataDir, settings.adminKey)
  const { pool } = started.use(await openDatabase({ databaseUrl, dataDir, logger, signal }))
  const log = await openExchangeLog({ settings, pool, logger })
  started.defer(() => log.close())
  const { exchangeLog } = log
  const keyring = new Keyring(settings.secretKeys ?? [])
  const feedback = await openFeedback({ pool, dataDir, keyring, logger })
  started.defer(() => feedback.close())
  const privacy = new Privacy({
    byDefault: settings.logBodies,
    pseudonymKey: await readPseudonymKey(pool),
  })
  const ttlMs = settings.responsesTtlDays * DAY_MS
  const responses = new KeptResponses({ db: pool, ttlMs, logger })
  const deleteExpired = (limit: number) => deleteExpiredResponses(pool, new Date(), limit)
  started.defer(sweepExpired({ deleteExpired, logger }))

  const models = new ModelStore(dataDir, {
    onBroken: ({ id, problem }) =>
      logger.error({ version: id }, `${id} is passed over: ${problem}`),
  })
  const resident = openResidency({
    ...runtimes,
    copies: settings.hostCopies,
    keepWarm: settings.keepWarm ?? [],
    versions: models,
    logger,
  })
  if (resident) started.defer(() => resident.close())
  const runtime = resident?.fleet ?? null
  const residency = resident?.residency ?? null
  const loadWaitMs = settings.loadWaitS * 1000
  const catalog = await openCatalog({ pool, store: models, dataDir, runtime, logger })
  started.defer(() => catalog.close())
  const { versions } = catalog

  const webhooks = new Webhooks({ pool, keyring, logger })
  started.defer(() => webhooks.close())
  const deployments = await openDeployments({
    pool,
    announce: webhooks.announce,
    versions,
    gates: [catalog.gate, evaluationGateOf(pool)],
    hold: catalog.hold,
    runtime,
    room: residency ? (needed) => residency.shortage(needed) : undefined,
    isDeclared: (model) => declared.routes.declares(model),
    keepMs: settings.deploymentKeepS * 1000,
    faultPoint: options.faultPoint,
    logger,
  })
  started.defer(() => deployments.close())
  residency?.follow('deployments', () =>
    deployments.residency.wantedVersions().map(({ version }) => version),
  )
  const library = new DeployedRoutes({
    versions,
    live: deployments.live,
    adopt: (model) => deployments.adoption.adopt(model),
    local: runtime && new LocalBackend({ runtime: runtime.onDemand, loadWaitMs }),
    upstream: (name) => declared.routes.backendOf(name),
  })
  const declared = await openDeclared({
    file: settings.configFile,
    // Beside what is kept, a container has the one folder that is mounted.
    folders: ['.', dataDir],
    env: options.env,
    library,
    usePatterns: (patterns) => privacy.usePatterns(patterns),
    useWebhooks: (addresses) => webhooks.configure(addresses),
    pool,
    keyring,
    logger,
  })
  started.defer(() => declared.close())
  deployments.start()
  const trials = openTrials({ pool, deployments, privacy, logger })
  started.defer(() => trials.close())

  const upstreamModels = new UpstreamModels({
    live: deployments.live,
    versions,
    hasUpstream: (name) => declared.routes.backendOf(name) !== undefined,
    isDeclared: (model) => declared.routes.declares(model),
  })
  await upstreamModels.start()
  started.defer(() => upstreamModels.close())
  const readiness = new Readiness(() => declared.routes.upstreamModels + upstreamModels.count)
  const openExchanges = new Set<Exchange>()
  const router = new Router()
  const now = () => performance.timeOrigin + performance.now()
  const connectFor = (purpose: string) =>
    settings.redisUrl === null ? null : connectRedis(settings.redisUrl, purpose, logger)
  const limits = await openLimits({
    redis: connectFor('limits'),
    sumSpend: (questions) => sumSpend(pool, questions),
    logger,
    now,
  })
  started.defer(() => limits.close())
  // A connection of its own: a long answer on its way must not hold up anybody's limits.
  const store = new AnswerStore({ maxBytes: settings.cacheBytes, redis: connectFor('cache'), now })
  const cache = new ResponseCache({ store, logger })
  started.defer(() => cache.close())
  const admission = new Admission(settings.maxConcurrent)
  const scheduledExport =
    settings.exportUrl === null
      ? undefined
      : await ScheduledExport.start({
          exportUrl: settings.exportUrl,
          withBodies: settings.exportBodies === 'yes',
          env: options.env,
          connection: connectionOf(pool),
          logger,
        })
  if (scheduledExport) started.use(scheduledExport)
  const metrics = new Metrics({
    release,
    dataDir,
    extra: settings.metricsExtra,
    runtime,
    targets: router.healths,
    declared,
    deployments,
    exchangeLog,
    limits: { limits, admission, cache },
    exports: scheduledExport,
    catalog: catalog.registrar,
    trials,
  })
  started.defer(() => metrics.close())
  const traces = await openTraces(settings, release, logger)
  if (traces) started.defer(() => traces.close())
  const app = await buildApp({
    settings: {
      release,
      bodyLimitBytes: settings.bodyLimitBytes,
      uploadLimitBytes: settings.uploadLimitBytes,
      metricsToken: settings.metricsToken ?? (isLoopback(host) ? null : adminKey.key),
      adminKeyHash: hashKey(adminKey.key),
      authGraceMs: settings.authGraceS * 1000,
      searchLanguage: settings.searchLanguage,
      refusesUnlogged: settings.spoolFull === 'refuse',
      issuer: issuerOf(settings),
    },
    routes: declared.routes,
    declared,
    deployments,
    webhooks: { webhooks, keyring },
    catalog: {
      ...catalog,
      guards: {
        ...catalog.guards,
        liveIn: declaredIsLive(catalog.guards.liveIn, (id) => declared.routes.modelNaming(id)),
      },
      upstreams: async () => (await declared.upstreams.list()).map(({ name }) => name),
    },
    shadows: trials.shadows,
    defaultTarget: () => declared.routes.defaultTarget(),
    engines: {
      residency,
      // A model is what is live of it.
      versions: {
        resolve: (name) =>
          models.resolve(deployments.live.find(name)?.state.targets[0]?.version ?? name),
      },
    },
    callers: {
      findByKeyHash: (keyHash) => findCallerByKeyHash(pool, keyHash),
      findProject: (idOrName) => findProjectOfCallers(pool, idOrName),
    },
    pool,
    exchangeLog,
    privacy,
    responses,
    feedback,
    readiness,
    metrics,
    router,
    admission,
    limits,
    cache,
    openExchanges,
    traces,
    logger,
  })
  const answers = new OpenAnswers(app.server)
  const listenTextResolver = (address: string) => `the gateway listens at ${address}`
  await app.listen({ host, port, listenTextResolver }).catch((error: unknown) => {
    throw describeListenError(error, host, port)
  })
  const url = urlOf(host, (app.server.address() as AddressInfo).port)

  const parts = started.move()
  const close = async (hurry: AbortSignal) => {
    await drain({ app, answers, openExchanges, readiness, logger, drainMs, hurry })
    await parts.disposeAsync()
    logger.info({}, 'the gateway has stopped')
  }
  return { url, adminKey, readiness, runtime, residency, models, versions, deployments, close }
}
