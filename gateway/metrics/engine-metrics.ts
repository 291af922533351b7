// The engines' figures as metrics, read from the runtime when somebody scrapes.

import { Counter, Gauge } from 'prom-client'
import type { Registry } from 'prom-client'

import type { Runtime } from '../../runtime/client.ts'
import type { EngineStats } from '../../runtime/protocol.ts'

/** a scrape has to be answered within seconds, whatever the runtime does */
const STATS_TIMEOUT_MS = 1_000

type Figure = [name: string, help: string, read: (stats: EngineStats) => number]

const GAUGES: Figure[] = [
  [
    'up',
    '1 while the engine is ready, 0 while it loads, restarts, drains or has failed.',
    (s) => Number(s.state === 'ready'),
  ],
  ['running', 'Sequences that have a slot.', (s) => s.running],
  [
    'waiting',
    'Sequences that wait for a slot. Above zero for long: the version is at its limit.',
    (s) => s.waiting,
  ],
  ['slots', 'Sequences that can run at once.', (s) => s.slots],
  [
    'kv_tokens_used',
    'Tokens in the KV cache that belong to running sequences.',
    (s) => s.kvTokensUsed,
  ],
  ['kv_tokens_capacity', 'Tokens that the KV cache has room for.', (s) => s.kvTokensCapacity],
  ['memory_bytes', "The engine process's memory.", (s) => s.memoryBytes],
  ['load_seconds', 'How long the engine took to load its version.', (s) => s.loadMs / 1000],
]

const COUNTERS: Figure[] = [
  [
    'restarts_total',
    'Times the engine process ended and was started again. Any increase is worth a look at its log.',
    (s) => s.restarts,
  ],
  ['steps_total', 'Forward passes since the engine started.', (s) => s.steps],
  ['prefill_tokens_total', 'Prompt tokens computed.', (s) => s.prefillTokens],
  ['decode_tokens_total', 'Answer tokens computed.', (s) => s.decodeTokens],
  ['cached_tokens_total', 'Prompt tokens that were still in the KV cache.', (s) => s.cachedTokens],
  ['prefill_seconds_total', 'Time spent in forward passes over prompts.', (s) => s.prefillSeconds],
  ['decode_seconds_total', 'Time spent in forward passes over answers.', (s) => s.decodeSeconds],
]

const LABELS = ['model', 'version'] as const

export class EngineMetrics {
  readonly #runtime: Pick<Runtime, 'stats'>
  readonly #up: Gauge
  readonly #gauges: [Gauge<'model' | 'version'>, Figure[2]][]
  readonly #counters: [Counter<'model' | 'version'>, Figure[2]][]

  constructor(runtime: Pick<Runtime, 'stats'>, registers: Registry[]) {
    this.#runtime = runtime
    this.#up = new Gauge({
      name: 'headrace_runtime_up',
      help: '1 where the runtime answered this scrape. 0: no local model can be served.',
      registers,
    })
    this.#gauges = GAUGES.map(([name, help, read]) => [
      new Gauge({ name: `headrace_engine_${name}`, help, labelNames: LABELS, registers }),
      read,
    ])
    this.#counters = COUNTERS.map(([name, help, read]) => [
      new Counter({ name: `headrace_engine_${name}`, help, labelNames: LABELS, registers }),
      read,
    ])
  }

  async read(): Promise<void> {
    const engines = await this.#stats()
    this.#up.set(engines ? 1 : 0)
    // Versions come and go; what is gone must not stay on the page with its last figures.
    for (const [gauge] of this.#gauges) gauge.reset()
    for (const [counter] of this.#counters) counter.reset()
    for (const stats of engines ?? []) {
      const labels = { model: stats.version.split('@', 1)[0] ?? '', version: stats.version }
      for (const [gauge, read] of this.#gauges) gauge.set(labels, read(stats))
      for (const [counter, read] of this.#counters) counter.inc(labels, read(stats))
    }
  }

  /** null where the runtime doesn't answer */
  async #stats(): Promise<EngineStats[] | null> {
    const { promise: late, resolve } = Promise.withResolvers<null>()
    const timer = setTimeout(resolve, STATS_TIMEOUT_MS, null)
    try {
      const stats = this.#runtime.stats().then(
        ({ engines }) => engines,
        () => null,
      )
      return await Promise.race([stats, late])
    } finally {
      clearTimeout(timer)
    }
  }
}
