// Local versions under vLLM's names, so that dashboards made for vLLM show them; behind a switch, as they say nothing new.
//
// What has no counterpart here (preemption, swapping) is not made up, but for the zeros that a panel divides by.
//
// Knows: records, engines' figures. Does not know: our own metrics.

import { Counter, Gauge, Histogram } from 'prom-client'
import type { Registry } from 'prom-client'

import { DECODE_BUCKETS, FIRST_TOKEN_BUCKETS, PACE_BUCKETS, PHASE_BUCKETS } from './buckets.ts'
import type { ExchangeRecord } from '../exchange/exchange-record.ts'
import type { EngineStats } from '../../runtime/protocol.ts'

const TOKEN_BUCKETS = [1, 10, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 50_000]

type Figure = [name: string, help: string, read: (stats: EngineStats) => number]

const GAUGES: Figure[] = [
  ['num_requests_running', 'Number of requests currently running.', (s) => s.running],
  ['num_requests_waiting', 'Number of requests waiting to be processed.', (s) => s.waiting],
  ['num_requests_swapped', 'Number of requests swapped out; there is no such thing here.', () => 0],
]

const COUNTERS: Figure[] = [
  [
    'prefix_cache_queries_total',
    'Prompt tokens that were looked for in the KV cache.',
    (s) => s.prefillTokens + s.cachedTokens,
  ],
  ['prefix_cache_hits_total', 'Prompt tokens found in the KV cache.', (s) => s.cachedTokens],
]

const LABELS = ['model_name'] as const

export class VllmMetrics {
  readonly #gauges: [Gauge<'model_name'>, Figure[2]][]
  readonly #counters: [Counter<'model_name'>, Figure[2]][]
  readonly #usage: Gauge<'model_name'>[]
  readonly #prompt
  readonly #generation
  readonly #success
  readonly #pace
  readonly #times: [Histogram<'model_name'>, (record: ExchangeRecord) => number | null][]
  readonly #sizes: [Histogram<'model_name'>, (record: ExchangeRecord) => number | null][]

  constructor(registers: Registry[]) {
    const about = (name: string, help: string) => ({
      name: `vllm:${name}`,
      help,
      labelNames: LABELS,
      registers,
    })
    const histogram = (name: string, help: string, buckets: number[]) =>
      new Histogram({ ...about(name, help), buckets })
    this.#gauges = GAUGES.map(([name, help, read]) => [new Gauge(about(name, help)), read])
    this.#counters = COUNTERS.map(([name, help, read]) => [new Counter(about(name, help)), read])
    // The name of before, and the one of now.
    this.#usage = ['gpu_cache_usage_perc', 'kv_cache_usage_perc'].map(
      (name) => new Gauge(about(name, 'KV-cache usage. 1 means 100 percent usage.')),
    )
    this.#prompt = new Counter(about('prompt_tokens_total', 'Number of prefill tokens processed.'))
    this.#generation = new Counter(
      about('generation_tokens_total', 'Number of generation tokens processed.'),
    )
    this.#success = new Counter({
      ...about('request_success_total', 'Count of successfully processed requests.'),
      labelNames: [...LABELS, 'finished_reason'],
    })
    this.#pace = ['time_per_output_token_seconds', 'inter_token_latency_seconds'].map((name) =>
      histogram(name, 'Histogram of inter-token latency in seconds.', PACE_BUCKETS),
    )
    const seconds = (ms: number | null) => (ms === null ? null : ms / 1000)
    this.#times = [
      [
        histogram(
          'time_to_first_token_seconds',
          'Histogram of time to first token in seconds.',
          FIRST_TOKEN_BUCKETS,
        ),
        (record) => seconds(record.timeToFirstTokenMs),
      ],
      [
        histogram(
          'e2e_request_latency_seconds',
          'Histogram of e2e request latency in seconds.',
          DECODE_BUCKETS,
        ),
        (record) => seconds(record.totalMs),
      ],
      [
        histogram('request_queue_time_seconds', 'Time spent in WAITING.', PHASE_BUCKETS),
        (record) => seconds(record.queueMs),
      ],
      [
        histogram('request_prefill_time_seconds', 'Time spent in PREFILL.', PHASE_BUCKETS),
        (record) => seconds(record.prefillMs),
      ],
      [
        histogram('request_decode_time_seconds', 'Time spent in DECODE.', DECODE_BUCKETS),
        (record) => seconds(record.decodeMs),
      ],
    ]
    this.#sizes = [
      [
        histogram('request_prompt_tokens', 'Number of prefill tokens processed.', TOKEN_BUCKETS),
        (record) => record.promptTokens,
      ],
      [
        histogram('request_generation_tokens', 'Number of generation tokens.', TOKEN_BUCKETS),
        (record) => record.completionTokens,
      ],
      [
        histogram(
          'request_max_num_generation_tokens',
          'Maximum number of generation tokens of a sequence of the request.',
          TOKEN_BUCKETS,
        ),
        ({ completionTokens, answer }) =>
          completionTokens === null ? null : completionTokens / Math.max(1, answer?.length ?? 1),
      ],
    ]
  }

  /** @param model with room among the labels */
  closed(record: ExchangeRecord, model: string) {
    if (record.upstream !== 'local' || record.outcome !== 'completed') return
    const labels = { model_name: model }
    for (const [histogram, read] of [...this.#times, ...this.#sizes]) {
      const value = read(record)
      if (value !== null) histogram.observe(labels, value)
    }
    if (record.promptTokens) this.#prompt.inc(labels, record.promptTokens)
    if (record.completionTokens) this.#generation.inc(labels, record.completionTokens)
    const reason = record.finishReasons?.[0]
    if (reason) this.#success.inc({ ...labels, finished_reason: reason })
  }

  paceOf(model: string): (seconds: number) => void {
    const children = this.#pace.map((histogram) => histogram.labels({ model_name: model }))
    return (seconds) => {
      for (const child of children) child.observe(seconds)
    }
  }

  /** All versions of a model are one to these dashboards. */
  read(engines: EngineStats[]) {
    for (const [metric] of [...this.#gauges, ...this.#counters]) metric.reset()
    const kv = new Map<string, { used: number; capacity: number }>()
    for (const stats of engines) {
      const model = stats.version.split('@', 1)[0] ?? ''
      const labels = { model_name: model }
      for (const [gauge, read] of this.#gauges) gauge.inc(labels, read(stats))
      for (const [counter, read] of this.#counters) counter.inc(labels, read(stats))
      const { used, capacity } = kv.get(model) ?? { used: 0, capacity: 0 }
      kv.set(model, {
        used: used + stats.kvTokensUsed,
        capacity: capacity + stats.kvTokensCapacity,
      })
    }
    for (const gauge of this.#usage) {
      gauge.reset()
      for (const [model, { used, capacity }] of kv) {
        gauge.set({ model_name: model }, capacity > 0 ? used / capacity : 0)
      }
    }
  }
}
