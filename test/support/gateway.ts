// A listening gateway on a port of its own, over a scripted runtime, closed with its test.

import { hash, randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'

import OpenAI from 'openai'

import { buildApp } from '../../gateway/app.ts'
import { LocalBackend } from '../../gateway/backends/local.ts'
import { createPool } from '../../gateway/db/pool.ts'
import { FeedbackTokens } from '../../gateway/feedback/tokens.ts'
import { Metrics } from '../../gateway/metrics/metrics.ts'
import { Privacy } from '../../gateway/privacy/privacy.ts'
import { Router } from '../../gateway/routing/router.ts'
import { Readiness } from '../../gateway/process/readiness.ts'
import { KeptResponses } from '../../gateway/responses/kept-responses.ts'
import { recordLog } from './logger.ts'
import { libraryRoutes } from './library-routes.ts'
import { openGuards } from './limits.ts'
import { compileWhenUsed } from './schemas.ts'
import { ScriptedRuntime } from './scripted-runtime.ts'
import type { AppDeps, AppSettings } from '../../gateway/app.ts'
import { ADMIN } from '../../gateway/callers/caller.ts'
import type { BodyPolicy } from '../../gateway/callers/body-policy.ts'
import type { Caller } from '../../gateway/callers/caller.ts'
import type { CallersProject } from '../../gateway/callers/project-memory.ts'
import type { ExchangeRecord } from '../../gateway/exchange/exchange-record.ts'

export const ADMIN_KEY = 'an-admin-key'
export const KEY = 'hr_a-key-of-the-tests'
export const MODEL = 'guide'
export const LIVE = 'guide@2'

export const CHAT = { model: MODEL, messages: [{ role: 'user' as const, content: 'Hi' }] }

/** Two models; `guide` has two versions of which the second is live, `other` is never loaded at the start. */
const VERSIONS = [
  { id: 'guide@1', created: '2026-01-01T00:00:00.000Z' },
  { id: 'guide@2', created: '2026-02-01T00:00:00.000Z' },
  { id: 'other@1', created: '2026-03-01T00:00:00.000Z' },
]

/** What the log was handed, and a way to wait for more. */
class RecordedLog {
  readonly records: ExchangeRecord[] = []
  readonly pending = 4
  readonly dropped = 1
  readonly pendingBytes = 4_096
  readonly maxBytes = 65_536
  readonly lagMs = 2_500
  readonly damaged = 0
  hasRoom = true
  #waiting: (() => void)[] = []

  append(record: ExchangeRecord, kept: () => void) {
    this.records.push(record)
    kept()
    for (const wake of this.#waiting.splice(0)) wake()
  }

  /** The only record, once it is there. */
  async onlyRecord(): Promise<ExchangeRecord> {
    return (await this.first(1))[0]!
  }

  async first(count: number): Promise<ExchangeRecord[]> {
    while (this.records.length < count) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    // A second record for one request would come right behind the first.
    await new Promise((resolve) => setTimeout(resolve, 5))
    if (this.records.length > count) throw new Error(`${this.records.length} records, not ${count}`)
    return this.records
  }
}

/** Where a test has no database. */
const keepsNothing = new KeptResponses({
  db: { query: () => Promise.reject(new Error('connection refused')) },
  ttlMs: 0,
  logger: recordLog().logger,
})

/** Where a test's feedback never waits for a database. */
const hasNoRoom = { append: () => false }

/** Nothing connects to it before somebody asks. */
const noDatabase = createPool({ host: '/nowhere' }, recordLog().logger)

/** The table of keys, as a map that can be taken away. */
export class TableOfKeys {
  readonly rows = new Map<string, Caller>()
  readonly projects = new Map<string, CallersProject>()
  isAway = false
  lookups = 0

  constructor(keys: Record<string, Caller>) {
    for (const [key, caller] of Object.entries(keys)) this.add(key, caller)
  }

  add(key: string, caller: Caller) {
    this.rows.set(hash('sha256', key, 'hex'), caller)
  }

  revoke(key: string) {
    this.rows.delete(hash('sha256', key, 'hex'))
  }

  async findByKeyHash(keyHash: Buffer): Promise<Caller | null> {
    this.lookups++
    await new Promise((resolve) => setImmediate(resolve))
    if (this.isAway) throw new Error('connection refused')
    return this.rows.get(keyHash.toString('hex')) ?? null
  }

  findProject(name: string): Promise<CallersProject | null> {
    if (this.isAway) return Promise.reject(new Error('connection refused'))
    return Promise.resolve(this.projects.get(name) ?? null)
  }
}

/** @param byDefault what is kept of texts where neither key nor project says */
export function privacyOf(byDefault: BodyPolicy) {
  return new Privacy({ byDefault, pseudonymKey: Buffer.alloc(32, 7) })
}

export interface GatewayOptions {
  settings?: Partial<AppSettings>
  /** how long a request waits for its version to be loaded */
  loadWaitMs?: number
  deps?: Partial<AppDeps>
}

export async function startGateway(
  t: TestContext,
  { settings, loadWaitMs = 1_000, deps }: GatewayOptions = {},
) {
  const runtime = new ScriptedRuntime(['guide@1', 'guide@2'])
  const log = new RecordedLog()
  const keys = new TableOfKeys({
    [KEY]: { ...ADMIN, id: 'caller-1', name: 'tests', role: 'caller' },
  })
  const readiness = new Readiness()
  readiness.ready('guide@2')
  const router = new Router()
  const { limits, cache, admission } = await openGuards(t)
  const metrics = new Metrics({
    release: '0.0.0-test',
    runtime,
    targets: router.healths,
    exchangeLog: log,
    limits: { limits, cache, admission },
  })
  const app = await buildApp({
    settings: {
      release: '0.0.0-test',
      bodyLimitBytes: 64 * 1024,
      uploadLimitBytes: 1024 * 1024,
      metricsToken: null,
      adminKeyHash: hash('sha256', ADMIN_KEY, 'buffer'),
      authGraceMs: 3_600_000,
      issuer: null,
      refusesUnlogged: false,
      searchLanguage: 'simple',
      ...settings,
    },
    routes: libraryRoutes(VERSIONS, new LocalBackend({ runtime, loadWaitMs })),
    callers: keys,
    pool: noDatabase,
    exchangeLog: log,
    privacy: privacyOf('whole'),
    responses: keepsNothing,
    feedback: { tokens: new FeedbackTokens([randomBytes(32)], Date.now), spool: hasNoRoom },
    readiness,
    metrics,
    router,
    limits,
    cache,
    admission,
    onAjv: compileWhenUsed,
    ...deps,
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`
  t.after(async () => {
    app.server.closeAllConnections()
    await app.close()
    metrics.close()
  })

  return {
    app,
    url,
    port,
    runtime,
    log,
    keys,
    readiness,
    metrics,
    client: new OpenAI({ baseURL: `${url}/v1`, apiKey: KEY, maxRetries: 0 }),
    post: (path: string, body: unknown, init: RequestInit = {}) =>
      fetch(url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${KEY}` },
        body: typeof body === 'string' ? body : JSON.stringify(body),
        ...init,
      }),
  }
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = []
  for await (const item of items) collected.push(item)
  return collected
}
