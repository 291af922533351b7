// Exchanges as metrics: all of it is observed once, when an exchange closes; only the time between tokens as they pass.
//
// Knows: records. Does not know: engines, limits, who scrapes.

import { Counter, Gauge, Histogram } from 'prom-client'
import type { Registry } from 'prom-client'

import {
  DECODE_BUCKETS,
  DURATION_BUCKETS,
  FIRST_TOKEN_BUCKETS,
  OVERHEAD_BUCKETS,
  PACE_BUCKETS,
  PHASE_BUCKETS,
} from './buckets.ts'
import { firstTokenMsOf } from '../exchange/first-token.ts'
import { LabelRoom } from './label-room.ts'
import type { ExchangeRecord } from '../exchange/exchange-record.ts'

/** Pairs of model and version that one process has seen since its start; each takes some 8 KB of a scrape. */
const MOST_VERSIONS = 1_000
/** as many as a server may have, and some */
const MOST_ROUTES = 200
/** errors.ts has some eighty */
const MOST_CODES = 200

/** of most failures */
const FAILED_STATUS = 502

const VERSION = ['model', 'version'] as const

export interface VersionLabels {
  model: string
  version: string
}

export class ExchangeMetrics {
  readonly #versions = new LabelRoom(MOST_VERSIONS)
  readonly #routes = new LabelRoom(MOST_ROUTES)
  readonly #codes = new LabelRoom(MOST_CODES)
  /** routes of versions that have been seen */
  readonly #begun = new Set<string>()
  readonly #requests
  readonly #inFlight
  readonly #errors
  readonly #duration
  readonly #firstToken
  readonly #pace
  readonly #queue
  readonly #prefill
  readonly #decode
  readonly #overhead
  readonly #tokens
  readonly #cost
  readonly #fallbacks
  readonly #brokenStreams

  constructor(registers: Registry[]) {
    this.#requests = new Counter({
      name: 'headrace_requests_total',
      help: 'Exchanges that ended, by how: completed, cancelled (the client left), failed (our fault), refused.',
      labelNames: ['route', ...VERSION, 'outcome', 'status'],
      registers,
    })
    this.#inFlight = new Gauge({
      name: 'headrace_requests_in_flight',
      help: 'Exchanges that are open now: waiting, computed or streamed.',
      registers,
    })
    this.#errors = new Counter({
      name: 'headrace_errors_total',
      help: 'Errors that clients were told, by code, and whether it was a refusal or a failure; the codes are listed in gateway/errors.ts.',
      labelNames: ['code', 'outcome', ...VERSION],
      registers,
    })
    this.#brokenStreams = new Counter({
      name: 'headrace_broken_streams_total',
      help: 'Answers that failed after their first token, by code. `upstream_timeout` is one that stalled.',
      labelNames: ['code', ...VERSION],
      registers,
    })
    this.#fallbacks = new Counter({
      name: 'headrace_fallbacks_total',
      help: 'Exchanges for which another target was asked than the first one: `version` is the one that could not answer.',
      labelNames: [...VERSION, 'result'],
      registers,
    })
    const histogram = (name: string, help: string, buckets: number[]) =>
      new Histogram({
        name: `headrace_${name}_seconds`,
        help,
        labelNames: VERSION,
        buckets,
        registers,
      })
    this.#duration = histogram(
      'request_duration',
      "From a completed request's arrival to the last byte of its answer. Long answers take long: judge by time to first token.",
      DURATION_BUCKETS,
    )
    this.#firstToken = histogram(
      'time_to_first_token',
      "From a request's arrival to its first piece of answer: queue, prefill and any loading of the version. Of an upstream's only where it is streamed.",
      FIRST_TOKEN_BUCKETS,
    )
    this.#pace = histogram(
      'inter_token',
      'Time from one token of an answer to the next. Rises with the load; a jump at constant load is an engine in trouble.',
      PACE_BUCKETS,
    )
    this.#queue = histogram(
      'queue',
      'Wait for a slot in the engine. Above zero for long: the version needs more slots or another host.',
      PHASE_BUCKETS,
    )
    this.#prefill = histogram(
      'prefill',
      'Time that the engine took to read the prompt. Grows with the tokens that were not in the cache.',
      PHASE_BUCKETS,
    )
    this.#decode = histogram(
      'decode',
      'Time that the engine took to write the answer, from its first token on.',
      DECODE_BUCKETS,
    )
    this.#overhead = new Histogram({
      name: 'headrace_overhead_seconds',
      help: 'Of the time to the first token, what was not spent waiting for a target: what this gateway costs.',
      buckets: OVERHEAD_BUCKETS,
      registers,
    })
    this.#tokens = new Counter({
      name: 'headrace_tokens_total',
      help: 'Tokens by direction: prompt (cached ones included), cached (read from the KV cache), completion.',
      labelNames: [...VERSION, 'direction'],
      registers,
    })
    this.#cost = new Counter({
      name: 'headrace_cost_usd_total',
      help: 'US dollars that answers cost, by the prices of their targets.',
      labelNames: VERSION,
      registers,
    })
    const rooms = [this.#versions, this.#routes, this.#codes]
    new Counter({
      name: 'headrace_metrics_labels_overflown_total',
      help: 'Observations whose model, route or code had no room on this page any more and were counted as `other`.',
      registers,
      collect() {
        this.reset()
        this.inc(rooms.reduce((sum, room) => sum + room.overflown, 0))
      },
    })
  }

  /** Labels for a model and a version, as long as there is room for them. */
  labelsOf(record: Pick<ExchangeRecord, 'model' | 'version'>): VersionLabels {
    const [model, version] = this.#versions.fit(record.model ?? '', record.version ?? '')
    return { model, version }
  }

  codeOf(code: string): string {
    return this.#codes.fit(code)[0]
  }

  opened() {
    this.#inFlight.inc()
  }

  closed(record: ExchangeRecord, labels: VersionLabels) {
    this.#inFlight.dec()
    const { outcome, errorCode, attempts } = record
    const [route] = this.#routes.fit(record.route)
    this.#begin(route, labels)
    this.#requests.inc({ route, ...labels, outcome, status: record.status })
    if (errorCode) {
      const code = this.codeOf(errorCode)
      this.#errors.inc({ code, outcome, ...labels })
      if (outcome === 'failed' && record.timeToFirstTokenMs !== null) {
        this.#brokenStreams.inc({ code, ...labels })
      }
    }
    const [first] = attempts
    if (first && attempts.some(({ version }) => version !== first.version)) {
      const from = this.labelsOf({ model: record.model, version: first.version })
      this.#fallbacks.inc({ ...from, result: outcome === 'completed' ? 'answered' : outcome })
    }
    this.#observeTimes(record, labels)
    this.#count(record, labels)
  }

  /** Observes the time between two tokens of this version's answers. */
  paceOf(labels: VersionLabels): (seconds: number) => void {
    const child = this.#pace.labels(labels)
    return (seconds) => child.observe(seconds)
  }

  /** A series that begins with 1 has no increase for Prometheus: the first failure is to count like any other. */
  #begin(route: string, labels: VersionLabels) {
    const name = `${route}\n${labels.model}\n${labels.version}`
    if (labels.version === '' || this.#begun.has(name)) return
    this.#begun.add(name)
    this.#requests.inc({ route, ...labels, outcome: 'failed', status: FAILED_STATUS }, 0)
  }

  #observeTimes(record: ExchangeRecord, labels: VersionLabels) {
    const { outcome, totalMs, queueMs, prefillMs, decodeMs, overheadMs } = record
    const firstTokenMs = firstTokenMsOf(record)
    if (outcome === 'completed') this.#duration.observe(labels, totalMs / 1000)
    if (firstTokenMs !== null) this.#firstToken.observe(labels, firstTokenMs / 1000)
    if (queueMs !== null) this.#queue.observe(labels, queueMs / 1000)
    if (prefillMs !== null) this.#prefill.observe(labels, prefillMs / 1000)
    if (decodeMs !== null) this.#decode.observe(labels, decodeMs / 1000)
    if (overheadMs !== null) this.#overhead.observe(overheadMs / 1000)
  }

  #count(record: ExchangeRecord, labels: VersionLabels) {
    for (const [direction, tokens] of [
      ['prompt', record.promptTokens],
      ['cached', record.cachedTokens],
      ['completion', record.completionTokens],
    ] as const) {
      if (tokens) this.#tokens.inc({ ...labels, direction }, tokens)
    }
    if (record.costUsd) this.#cost.inc(labels, record.costUsd)
  }
}
