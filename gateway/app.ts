// The gateway's server, put together: everything registered in the order in which a request meets it.
//
// Knows: what there is and in which order. Does not know: where its parts come from (main.ts makes them), what they do.

import { randomUUIDv7 } from 'node:crypto'

import fastify, { LogController } from 'fastify'
import type { Ajv } from 'ajv'
import type { FastifyBaseLogger } from 'fastify'

import { anthropicErrorBody } from './dialects/anthropic/error.ts'
import { errorBody } from './dialects/openai/error.ts'
import { adminRoutes } from './admin-routes.ts'
import { admitRequests } from './plugins/admission.ts'
import { FeedbackDesk } from './feedback/desk.ts'
import { Pace } from './feedback/pace.ts'
import { RecentExchanges } from './feedback/recent-exchanges.ts'
import { StoredCompletions } from './responses/stored-completions.ts'
import { Identities } from './callers/identities.ts'
import { authenticate } from './plugins/auth.ts'
import { tellDatabaseAway } from './plugins/database-away.ts'
import { documentRoutes } from './plugins/docs.ts'
import { drainOnClose, refuseWhileDraining } from './plugins/draining.ts'
import { tellErrors, tellMalformed, tellUnroutable } from './plugins/errors.ts'
import { offerFeedbackTokens } from './plugins/feedback-token.ts'
import { recordExchanges, refuseUnlogged } from './plugins/exchange.ts'
import { readJson } from './plugins/json.ts'
import { tellUnknownUrls } from './plugins/unknown-urls.ts'
import { chatRoutes } from './routes/chat.ts'
import { classifyRoutes } from './routes/classify.ts'
import { completionRoutes } from './routes/completions.ts'
import { embeddingRoutes } from './routes/embeddings.ts'
import { endUserFeedbackRoutes } from './routes/end-user-feedback.ts'
import { feedbackRoutes } from './routes/feedback.ts'
import { healthRoutes } from './routes/health.ts'
import { keptResponseRoutes } from './routes/kept-responses.ts'
import { messageRoutes } from './routes/messages.ts'
import { metricsRoute } from './routes/metrics.ts'
import { modelRoutes } from './routes/models.ts'
import { passThroughRoutes } from './routes/pass-through.ts'
import { rerankRoutes } from './routes/rerank.ts'
import { responseRoutes } from './routes/responses.ts'
import { storedCompletionRoutes } from './routes/stored-completions.ts'
import type { IdentitiesOptions, IssuerSettings } from './callers/identities.ts'
import type { AdministeredParts } from './admin-routes.ts'
import type { Pool } from './db/pool.ts'
import type { Metrics } from './metrics/metrics.ts'
import type { ResponseCache } from './cache/response-cache.ts'
import type { ShadowCopies } from './canary/shadow/shadow-copies.ts'
import type { Exchange } from './exchange/exchange.ts'
import type { FeedbackSpool } from './feedback/spool.ts'
import type { FeedbackTokens } from './feedback/tokens.ts'
import type { Admission } from './limits/admission.ts'
import type { Limits } from './limits/limits.ts'
import type { ExchangeLog } from './plugins/exchange.ts'
import type { Privacy } from './privacy/privacy.ts'
import type { Router } from './routing/router.ts'
import type { Readiness } from './process/readiness.ts'
import type { App } from './request.ts'
import type { Traces } from './traces/traces.ts'
import type { KeptResponses } from './responses/kept-responses.ts'
import type { Routes, Target } from './routing/route.ts'

export interface AppSettings {
  /** of this build, for the OpenAPI document */
  release: string
  bodyLimitBytes: number
  /** of what is uploaded to upstreams */
  uploadLimitBytes: number
  /** null where the server is bound to loopback: /metrics is open then */
  metricsToken: string | null
  /** SHA-256 of the admin key */
  adminKeyHash: Buffer
  /** how long known callers go on while the tables, or the issuer, can't be asked */
  authGraceMs: number
  /** whose tokens are taken beside API keys; null: nobody's */
  issuer: IssuerSettings | null
  /** PostgreSQL's text search configuration of what was said */
  searchLanguage: string
  /** whether requests are refused while their exchanges could not be logged */
  refusesUnlogged: boolean
}

export interface AppDeps extends AdministeredParts {
  settings: AppSettings
  /** of keys and projects */
  callers: IdentitiesOptions['tables']
  /** what the admin API reads and changes */
  pool: Pool
  exchangeLog: ExchangeLog
  /** what may be kept of texts */
  privacy: Privacy
  responses: KeptResponses
  feedback: { tokens: FeedbackTokens; spool: Pick<FeedbackSpool, 'append'> }
  routes: Routes
  /** absent: nothing is copied */
  shadows?: Pick<ShadowCopies, 'offer'>
  readiness: Readiness
  metrics: Metrics
  router: Router
  admission: Admission
  limits: Limits
  cache: ResponseCache
  /** who takes what names no model, such as files; absent: nobody */
  defaultTarget?: () => Target | null
  /** absent: requests are not traced */
  traces?: Traces | null
  /** filled with the exchanges that have not closed */
  openExchanges?: Set<Exchange>
  /** between signs of life on streams; absent: the usual time */
  pulseMs?: number
  /** hears of what compiles the schemas of requests before it does; absent: nobody */
  onAjv?: (ajv: Ajv) => void
  /** absent: nothing is logged */
  logger?: FastifyBaseLogger
  /** milliseconds since 1970, monotonic */
  now?: () => number
  /** ids of exchanges */
  newId?: () => string
}

/** for a request to arrive whole; generous for a long prompt on a slow line, and an end for who sends byte by byte */
const REQUEST_TIMEOUT_MS = 120_000

/** A click is one; an hour's work of a server that relays its users' is some ten a second. */
const FEEDBACK_PER_MINUTE = { ofEndUser: 20, ofCaller: 1_200 }

const monotonicNow = () => performance.timeOrigin + performance.now()

export async function buildApp(deps: AppDeps): Promise<App> {
  const { settings, routes, callers, pool, exchangeLog, responses, readiness, metrics } = deps
  const { admission, limits, cache, privacy, traces = null } = deps
  const { router, now = monotonicNow, newId = randomUUIDv7, openExchanges: open = new Set() } = deps

  const app: App = fastify({
    loggerInstance: deps.logger,
    // The exchange log says what happened; a second line for each request would say it again.
    logController: new LogController({
      disableRequestLogging: true,
      requestIdLogLabel: 'exchange',
    }),
    // An id that a client chose could be another exchange's.
    requestIdHeader: false,
    genReqId: () => newId(),
    bodyLimit: settings.bodyLimitBytes,
    // Refused by plugins/draining.ts, in the words of the API.
    return503OnClosing: false,
    requestTimeout: REQUEST_TIMEOUT_MS,
    clientErrorHandler: tellMalformed,
    frameworkErrors: tellUnroutable,
    // A slash too many is not an empty id: what is meant is clear.
    routerOptions: { maxParamLength: 256, ignoreTrailingSlash: true },
    ajv: {
      customOptions: {
        // A body means what it says: "1" is not 1, and nothing is dropped or filled in.
        coerceTypes: false,
        removeAdditional: false,
        useDefaults: false,
        allowUnionTypes: true,
        // Of bodies of several forms the one is checked that the body says it has, and what is wrong with it told.
        discriminator: true,
        // Errors carry the value and the schema, so that they can say what was given and what is allowed.
        verbose: true,
      },
      onCreate: deps.onAjv,
    },
  })
  // Schemas of answers are documentation; see dialects/openai/responses.ts.
  app.setSerializerCompiler(() => JSON.stringify)
  app.decorateRequest('exchange', null)
  app.decorateRequest('caller', null)

  tellErrors(app, settings)
  tellUnknownUrls(app, (path) => (isAnthropic(path) ? anthropicErrorBody : errorBody))
  readJson(app)
  drainOnClose(app, readiness)
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id)
    done()
  })

  await documentRoutes(app, settings.release)
  healthRoutes(app, { readiness })
  metricsRoute(app, { metrics, ...settings })

  const identities = new Identities({
    adminKeyHash: settings.adminKeyHash,
    graceMs: settings.authGraceMs,
    issuer: settings.issuer,
    tables: callers,
    now,
    onLookup: metrics.keyLookedUp.bind(metrics),
    logger: app.log,
  })
  const recent = new RecentExchanges()
  const { tokens, spool } = deps.feedback
  const desk = new FeedbackDesk({ pool, recent, spool, privacy: deps.privacy, now })
  const feedback = {
    desk,
    tokens,
    pace: {
      callers: new Pace(FEEDBACK_PER_MINUTE.ofCaller, now),
      endUsers: new Pace(FEEDBACK_PER_MINUTE.ofEndUser, now),
    },
  }
  const stored = new StoredCompletions({ pool, recent, now })
  const { shadows, pulseMs } = deps
  const answerDeps = { router, routes, metrics, limits, cache, shadows, pulseMs }

  app.register((answers: App, _options, done) => {
    recordExchanges(answers, { exchangeLog, privacy, recent, metrics, traces, open, now })
    if (settings.refusesUnlogged) refuseUnlogged(answers, exchangeLog)
    refuseWhileDraining(answers, readiness)
    authenticate(answers, identities)
    admitRequests(answers, admission)
    offerFeedbackTokens(answers, tokens)
    chatRoutes(answers, answerDeps)
    completionRoutes(answers, answerDeps)
    responseRoutes(answers, { ...answerDeps, responses, privacy, now })
    embeddingRoutes(answers, { router, routes, limits })
    rerankRoutes(answers, { router, routes, limits })
    classifyRoutes(answers, { router, routes, limits })
    passThroughRoutes(answers, {
      routes,
      limits,
      defaultTarget: deps.defaultTarget ?? (() => null),
      uploadLimitBytes: settings.uploadLimitBytes,
    })
    answers.register((messages: App, _options, done) => {
      tellErrors(messages, settings, anthropicErrorBody)
      messageRoutes(messages, answerDeps)
      done()
    })
    done()
  })
  app.register((listings: App, _options, done) => {
    refuseWhileDraining(listings, readiness)
    authenticate(listings, identities)
    modelRoutes(listings, { routes })
    keptResponseRoutes(listings, { responses })
    listings.register((logged: App, _options, done) => {
      tellDatabaseAway(logged)
      storedCompletionRoutes(logged, { stored })
      feedbackRoutes(logged, feedback)
      done()
    })
    done()
  })
  app.register((endUsers: App, _options, done) => {
    refuseWhileDraining(endUsers, readiness)
    tellDatabaseAway(endUsers)
    endUserFeedbackRoutes(endUsers, feedback)
    done()
  })
  app.register((administration: App, _options, done) => {
    const onChange = identities.doubtAll.bind(identities)
    authenticate(administration, identities)
    tellDatabaseAway(administration)
    adminRoutes(administration, { ...deps, language: settings.searchLanguage, desk, now, onChange })
    done()
  })
  return app
}

/** whose clients understand errors of that dialect only */
const isAnthropic = (path: string) => /^\/v1\/messages(\/|$)/.test(path)
