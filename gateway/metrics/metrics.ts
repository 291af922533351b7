// Every metric of the gateway, with help text for whoever is on call.
//
// Requests are observed once, when their exchange closes; only the time between tokens is observed as they pass. Gauges
// that mirror somebody's state are read when scraped. Labels are bounded: models and versions that exist, routes that
// exist, outcomes, statuses and error codes; what a client made up never becomes one, and of what exists there is room for
// so much (label-room.ts).
//
// Knows: prom-client, and nobody else does. Does not know: Fastify.

import { Counter, Registry } from 'prom-client'

import { exposeCatalog } from './catalog-metrics.ts'
import { exposeDeclared } from './declared-metrics.ts'
import { exposeDeployments } from './deployment-metrics.ts'
import { EngineMetrics } from './engine-metrics.ts'
import { ExchangeMetrics } from './exchange-metrics.ts'
import { exposeExports } from './export-metrics.ts'
import { GenAiMetrics } from './gen-ai-metrics.ts'
import { exposeLimits } from './limit-metrics.ts'
import { exposeLog } from './log-metrics.ts'
import { exposeProcess } from './process-metrics.ts'
import { exposeStandings } from './standing-metrics.ts'
import { TargetMetrics } from './target-metrics.ts'
import { exposeTrials } from './trial-metrics.ts'
import { VllmMetrics } from './vllm-metrics.ts'
import type { CatalogSource } from './catalog-metrics.ts'
import type { DeclaredStates } from './declared-metrics.ts'
import type { DeploymentSource } from './deployment-metrics.ts'
import type { ExportSource } from './export-metrics.ts'
import type { ExchangeRecord } from '../exchange/exchange-record.ts'
import type { LimitSources } from './limit-metrics.ts'
import type { LogSource } from './log-metrics.ts'
import type { ExtraMetrics } from '../settings/setting-kinds.ts'
import type { StandingSource } from './standing-metrics.ts'
import type { TargetSource } from './target-metrics.ts'
import type { TrialSources } from './trial-metrics.ts'
import type { Runtime } from '../../runtime/client.ts'

export interface MetricsOptions {
  /** of this build */
  release: string
  /** whose disk is looked at; absent: none */
  dataDir?: string
  /** what is told beyond our own names; absent: nothing */
  extra?: ReadonlySet<ExtraMetrics>
  /** null: there is none */
  runtime: Pick<Runtime, 'stats'> | null
  targets: TargetSource
  /** absent: nothing is declared */
  declared?: DeclaredStates
  /** absent: nothing is deployed */
  deployments?: DeploymentSource
  exchangeLog: LogSource
  limits: LimitSources & { limits: StandingSource }
  /** absent: no folders are followed */
  catalog?: CatalogSource
  /** absent: no version is ever on trial */
  trials?: TrialSources
  /** absent: no days are exported */
  exports?: ExportSource
}

const NO_EXTRA: ReadonlySet<ExtraMetrics> = new Set()

export class Metrics {
  readonly #registry = new Registry()
  readonly #exchanges: ExchangeMetrics
  readonly #engines: EngineMetrics | null
  /** told of every attempt */
  readonly #targets: TargetMetrics
  readonly #genAi: GenAiMetrics | null
  readonly #vllm: VllmMetrics | null
  readonly #stopMeasuring: () => void
  /** observers of the time between tokens, made once for each model and version */
  readonly #paces = new Map<string, (seconds: number) => void>()
  readonly #keyLookups
  readonly #strangersDropped

  constructor(options: MetricsOptions) {
    const { runtime, declared, deployments, catalog, trials, exports } = options
    const { limits, extra = NO_EXTRA } = options
    const registers: [Registry] = [this.#registry]
    this.#stopMeasuring = exposeProcess(registers, options)
    this.#exchanges = new ExchangeMetrics(registers)
    this.#keyLookups = new Counter({
      name: 'headrace_key_lookups_total',
      help: 'Look-ups of API keys in the database. `failed`: it was away, and known keys went on from memory.',
      labelNames: ['result'],
      registers,
    })
    this.#strangersDropped = new Counter({
      name: 'headrace_strangers_dropped_total',
      help: 'Requests with a wrong key, or none, that left no row in the exchange log: there is room for 100 a minute. A burst is somebody who tries keys, or a client with an old one.',
      registers,
    })
    exposeLog(registers, options.exchangeLog)
    this.#genAi = extra.has('gen_ai') ? new GenAiMetrics(registers) : null
    this.#vllm = extra.has('vllm') ? new VllmMetrics(registers) : null
    this.#engines = runtime && new EngineMetrics(runtime, registers)
    this.#targets = new TargetMetrics(registers, options.targets)
    if (deployments) exposeDeployments(registers, deployments)
    if (declared) exposeDeclared(registers, declared)
    if (catalog) exposeCatalog(registers, catalog)
    if (exports) exposeExports(registers, exports)
    exposeLimits(registers, limits)
    if (trials) exposeTrials(registers, trials)
    exposeStandings(registers, limits.limits, extra.has('limits'))
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  opened() {
    this.#exchanges.opened()
  }

  closed(record: ExchangeRecord) {
    const labels = this.#exchanges.labelsOf(record)
    this.#exchanges.closed(record, labels)
    for (const attempt of record.attempts) this.#targets.attempted(attempt)
    const code = record.errorCode === null ? '' : this.#exchanges.codeOf(record.errorCode)
    this.#genAi?.closed(record, labels.model, code)
    this.#vllm?.closed(record, labels.model)
  }

  /** Observes the time between two tokens of this version's answers. */
  paceOf(model: string, version: string): (seconds: number) => void {
    const labels = this.#exchanges.labelsOf({ model, version })
    const name = `${labels.model}\n${labels.version}`
    let pace = this.#paces.get(name)
    if (!pace) {
      const own = this.#exchanges.paceOf(labels)
      const vllm = this.#vllm?.paceOf(labels.model)
      pace = vllm
        ? (seconds) => {
            own(seconds)
            vllm(seconds)
          }
        : own
      this.#paces.set(name, pace)
    }
    return pace
  }

  keyLookedUp(result: 'found' | 'unknown' | 'failed') {
    this.#keyLookups.inc({ result })
  }

  strangerDropped() {
    this.#strangersDropped.inc()
  }

  /** The text that Prometheus reads. A runtime that doesn't answer is a metric, not a failed scrape. */
  async render(): Promise<string> {
    const engines = (await this.#engines?.read()) ?? []
    this.#vllm?.read(engines)
    return this.#registry.metrics()
  }

  close() {
    this.#stopMeasuring()
  }
}
