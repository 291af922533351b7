// Every metric of the gateway, with help text for whoever is on call.
//
// Requests are observed once, when their exchange closes; only the time between tokens is observed as they pass. Gauges
// that mirror somebody's state are read when scraped. Labels are bounded: models and versions that exist, routes that
// exist, outcomes, statuses and error codes; what a client made up never becomes one.
//
// Knows: prom-client, and nobody else does. Does not know: Fastify.

import { monitorEventLoopDelay } from 'node:perf_hooks'

import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'

import { exposeDeclared } from './declared-metrics.ts'
import { EngineMetrics } from './engine-metrics.ts'
import { exposeCatalog } from './catalog-metrics.ts'
import { exposeExports } from './export-metrics.ts'
import { exposeLimits } from './limit-metrics.ts'
import { exposeTrials } from './trial-metrics.ts'
import { exposeLog } from './log-metrics.ts'
import { TargetMetrics } from './target-metrics.ts'
import type { DeclaredStates } from './declared-metrics.ts'
import type { CatalogSource } from './catalog-metrics.ts'
import type { ExportSource } from './export-metrics.ts'
import type { ExchangeRecord } from '../exchange-record.ts'
import type { LimitSources } from './limit-metrics.ts'
import type { TrialSources } from './trial-metrics.ts'
import type { LogSource } from './log-metrics.ts'
import type { TargetHealths } from '../routing/target-health.ts'
import type { Runtime } from '../../runtime/client.ts'

export interface MetricsOptions {
  /** of this build */
  release: string
  /** null: there is none */
  runtime: Pick<Runtime, 'stats'> | null
  targets: TargetHealths
  /** absent: nothing is declared */
  declared?: DeclaredStates
  exchangeLog: LogSource
  limits: LimitSources
  /** absent: no folders are followed */
  catalog?: CatalogSource
  /** absent: no version is ever on trial */
  trials?: TrialSources
  /** absent: no days are exported */
  exports?: ExportSource
}

// Users feel differences under 300 ms, so that is where the buckets are.
const FIRST_TOKEN_BUCKETS = [
  0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1, 2, 5, 10, 30,
]
const PACE_BUCKETS = [
  0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3,
  0.5, 1, 2,
]
const WAIT_BUCKETS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30]
const DURATION_BUCKETS = [
  0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.5, 0.75, 1, 2, 5, 10, 30, 60, 120,
  300,
]

/** the sampling interval of the event loop's delay, which Node counts into what it measures */
const LOOP_RESOLUTION_MS = 10

export class Metrics {
  readonly #registry = new Registry()
  readonly #engines: EngineMetrics | null
  /** told of every attempt */
  readonly #targets: TargetMetrics
  readonly #loopDelay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS })
  /** observers of the time between tokens, made once for each version */
  readonly #paces = new Map<string, (seconds: number) => void>()
  readonly #requests
  readonly #inFlight
  readonly #errors
  readonly #duration
  readonly #firstToken
  readonly #pace
  readonly #queue
  readonly #prefill
  readonly #tokens
  readonly #keyLookups
  readonly #strangersDropped

  constructor(options: MetricsOptions) {
    const { release, runtime, targets, declared, exchangeLog, limits, trials } = options
    const registers = [this.#registry]
    collectDefaultMetrics({ register: this.#registry })
    this.#loopDelay.enable()

    this.#requests = new Counter({
      name: 'headrace_requests_total',
      help: 'Exchanges that ended, by how: completed, cancelled (the client left), failed (our fault), refused.',
      labelNames: ['route', 'model', 'version', 'outcome', 'status'],
      registers,
    })
    this.#inFlight = new Gauge({
      name: 'headrace_requests_in_flight',
      help: 'Exchanges that are open now: waiting, computed or streamed.',
      registers,
    })
    this.#errors = new Counter({
      name: 'headrace_errors_total',
      help: 'Errors that clients were told, by code; the codes are listed in gateway/errors.ts.',
      labelNames: ['code'],
      registers,
    })
    this.#duration = new Histogram({
      name: 'headrace_request_duration_seconds',
      help: "From a request's arrival to the last byte of its answer. Long answers take long: judge by time to first token.",
      labelNames: ['route', 'model', 'version', 'outcome'],
      buckets: DURATION_BUCKETS,
      registers,
    })
    this.#firstToken = new Histogram({
      name: 'headrace_time_to_first_token_seconds',
      help: "From a request's arrival to its first piece of answer: queue, prefill and any loading of the version.",
      labelNames: ['model', 'version'],
      buckets: FIRST_TOKEN_BUCKETS,
      registers,
    })
    this.#pace = new Histogram({
      name: 'headrace_inter_token_seconds',
      help: 'Time from one token of an answer to the next. Rises with the load; a jump at constant load is an engine in trouble.',
      labelNames: ['model', 'version'],
      buckets: PACE_BUCKETS,
      registers,
    })
    this.#queue = new Histogram({
      name: 'headrace_queue_seconds',
      help: 'Wait for a slot in the engine. Above zero for long: the version needs more slots or another host.',
      labelNames: ['model', 'version'],
      buckets: WAIT_BUCKETS,
      registers,
    })
    this.#prefill = new Histogram({
      name: 'headrace_prefill_seconds',
      help: 'Time that the engine took to read the prompt. Grows with the tokens that were not in the cache.',
      labelNames: ['model', 'version'],
      buckets: WAIT_BUCKETS,
      registers,
    })
    this.#tokens = new Counter({
      name: 'headrace_tokens_total',
      help: 'Tokens by direction: prompt (cached ones included), cached (read from the KV cache), completion.',
      labelNames: ['model', 'version', 'direction'],
      registers,
    })
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
    exposeLog(registers, exchangeLog)
    const loopDelay = this.#loopDelay
    new Gauge({
      name: 'headrace_event_loop_delay_p99_seconds',
      help: "99th percentile of the event loop's delay since the last scrape. Above 0.02: something computes in the gateway.",
      registers,
      collect() {
        const delayMs =
          loopDelay.count > 0 ? loopDelay.percentile(99) / 1e6 - LOOP_RESOLUTION_MS : 0
        this.set(Math.max(0, delayMs) / 1000)
        loopDelay.reset()
      },
    })
    new Gauge({
      name: 'headrace_build_info',
      help: 'Always 1; the labels say what runs.',
      labelNames: ['release', 'node'],
      registers,
    }).set({ release, node: process.version }, 1)
    this.#engines = runtime && new EngineMetrics(runtime, registers)
    this.#targets = new TargetMetrics(registers, targets)
    if (declared) exposeDeclared(registers, declared)
    if (options.catalog) exposeCatalog(registers, options.catalog)
    if (options.exports) exposeExports(registers, options.exports)
    exposeLimits(registers, limits)
    if (trials) exposeTrials(registers, trials)
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  opened() {
    this.#inFlight.inc()
  }

  closed(record: ExchangeRecord) {
    this.#inFlight.dec()
    const { route, outcome } = record
    const model = record.model ?? ''
    const version = record.version ?? ''
    this.#requests.inc({ route, model, version, outcome, status: record.status })
    this.#duration.observe({ route, model, version, outcome }, record.totalMs / 1000)
    if (record.errorCode) this.#errors.inc({ code: record.errorCode })
    for (const attempt of record.attempts) this.#targets.attempted(attempt)

    const labels = { model, version }
    if (record.timeToFirstTokenMs !== null) {
      this.#firstToken.observe(labels, record.timeToFirstTokenMs / 1000)
    }
    if (record.queueMs !== null) this.#queue.observe(labels, record.queueMs / 1000)
    if (record.prefillMs !== null) this.#prefill.observe(labels, record.prefillMs / 1000)
    for (const [direction, tokens] of [
      ['prompt', record.promptTokens],
      ['cached', record.cachedTokens],
      ['completion', record.completionTokens],
    ] as const) {
      if (tokens) this.#tokens.inc({ ...labels, direction }, tokens)
    }
  }

  /** Observes the time between two tokens of this version's answers. */
  paceOf(model: string, version: string): (seconds: number) => void {
    let pace = this.#paces.get(version)
    if (!pace) {
      const child = this.#pace.labels(model, version)
      pace = (seconds) => child.observe(seconds)
      this.#paces.set(version, pace)
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
    await this.#engines?.read()
    return this.#registry.metrics()
  }

  close() {
    this.#loopDelay.disable()
  }
}
