// The engines' figures as metrics, read from the runtime when somebody scrapes. Of a version on several hosts they are
// those of all together.

import { Counter, Gauge } from 'prom-client'
import type { Registry } from 'prom-client'

import { EngineTotals } from './engine-totals.ts'
import type { EngineStats, HostMemory } from '../../runtime/protocol.ts'

/** what hosts say of themselves; `host` where there are several */
export interface EngineSource {
  stats(): Promise<{ memory: HostMemory; engines: (EngineStats & { host?: string })[] }>
}

type Stats = Awaited<ReturnType<EngineSource['stats']>>

/**
 * A scrape has to be answered within seconds, whatever the runtime does. A host that hangs is waited for twice two seconds at
 * most, where one look follows another: with less than that it would hide the hosts that answer.
 */
const STATS_TIMEOUT_MS = 5_000

type Figure = [name: string, help: string, read: (stats: EngineStats) => number]

const GAUGES: Figure[] = [
  [
    'up',
    'Hosts on which the engine is ready; 0 while it loads, restarts, drains or has failed.',
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
  [
    'failed',
    'Hosts on which the engine has been given up: its version answers nothing there until it is loaded again.',
    (s) => Number(s.state === 'failed'),
  ],
  [
    'wanted',
    'Hosts that keep the version because it is live or kept warm; 0: it goes when it is idle.',
    (s) => Number(s.isWanted),
  ],
]
const LOAD_SECONDS = 'How long the slowest host took to load the version.'

const HOST_GAUGES: [name: string, help: string, read: (memory: HostMemory) => number][] = [
  [
    'memory_budget_bytes',
    'Memory that versions may have together, of all hosts that answer.',
    (m) => m.budgetBytes,
  ],
  [
    'memory_used_bytes',
    'Memory that versions have. Near the budget: the next load ends idle versions, or is refused.',
    (m) => m.usedBytes,
  ],
  [
    'memory_free_bytes',
    'Memory that nobody uses on the machines, or in their control groups.',
    (m) => m.freeBytes,
  ],
]

const COUNTERS: Figure[] = [
  [
    'restarts_total',
    'Times the engine process ended and was started again. Any increase is worth a look at its log.',
    (s) => s.restarts,
  ],
  ['steps_total', 'Forward passes since the engine started.', (s) => s.steps],
  [
    'step_sequences_total',
    'Sequences that took part in forward passes: divided by steps it is the mean batch.',
    (s) => s.stepSequences,
  ],
  ['prefill_tokens_total', 'Prompt tokens computed.', (s) => s.prefillTokens],
  ['decode_tokens_total', 'Answer tokens computed.', (s) => s.decodeTokens],
  ['cached_tokens_total', 'Prompt tokens that were still in the KV cache.', (s) => s.cachedTokens],
  ['prefill_seconds_total', 'Time spent in forward passes over prompts.', (s) => s.prefillSeconds],
  ['decode_seconds_total', 'Time spent in forward passes over answers.', (s) => s.decodeSeconds],
]

const LABELS = ['model', 'version'] as const

export class EngineMetrics {
  readonly #runtime: EngineSource
  readonly #up: Gauge
  readonly #memory: [Gauge, (memory: HostMemory) => number][]
  readonly #loadSeconds: Gauge<'model' | 'version'>
  readonly #gauges: [Gauge<'model' | 'version'>, Figure[2]][]
  readonly #counters: Counter<'model' | 'version'>[]
  readonly #totals = new EngineTotals()

  constructor(runtime: EngineSource, registers: Registry[]) {
    this.#runtime = runtime
    this.#up = new Gauge({
      name: 'headrace_runtime_up',
      help: '1 where the runtime answered this scrape. 0: no local model can be served.',
      registers,
    })
    this.#memory = HOST_GAUGES.map(([name, help, read]) => [
      new Gauge({ name: `headrace_runtime_${name}`, help, registers }),
      read,
    ])
    this.#loadSeconds = new Gauge({
      name: 'headrace_engine_load_seconds',
      help: LOAD_SECONDS,
      labelNames: LABELS,
      registers,
    })
    this.#gauges = GAUGES.map(([name, help, read]) => [
      new Gauge({ name: `headrace_engine_${name}`, help, labelNames: LABELS, registers }),
      read,
    ])
    this.#counters = COUNTERS.map(
      ([name, help]) =>
        new Counter({ name: `headrace_engine_${name}`, help, labelNames: LABELS, registers }),
    )
  }

  /** @returns what was read, for whoever tells it under other names */
  async read(): Promise<EngineStats[]> {
    const host = await this.#stats()
    this.#up.set(host ? 1 : 0)
    for (const [gauge, read] of this.#memory) gauge.set(host ? read(host.memory) : 0)
    // Versions come and go; what is gone must not stay on the page with its last figures.
    for (const [gauge] of this.#gauges) gauge.reset()
    for (const counter of this.#counters) counter.reset()
    this.#loadSeconds.reset()
    const slowest = new Map<string, number>()
    const engines = host?.engines ?? []
    const known = new Set(
      engines.flatMap(({ version }) => (this.#totals.of(version).length > 0 ? version : [])),
    )
    for (const stats of engines) {
      const labels = labelsOf(stats.version)
      for (const [gauge, read] of this.#gauges) gauge.inc(labels, read(stats))
      const counts = COUNTERS.map(([, , read]) => read(stats))
      this.#totals.add(stats.host ?? '', stats.version, counts, !known.has(stats.version))
      const loadMs = Math.max(stats.loadMs, slowest.get(stats.version) ?? 0)
      slowest.set(stats.version, loadMs)
      this.#loadSeconds.set(labels, loadMs / 1000)
    }
    for (const version of slowest.keys()) {
      const totals = this.#totals.of(version)
      const labels = labelsOf(version)
      for (const [index, counter] of this.#counters.entries()) counter.inc(labels, totals[index])
    }
    return engines
  }

  /** null where the runtime doesn't answer */
  async #stats(): Promise<Stats | null> {
    const { promise: late, resolve } = Promise.withResolvers<null>()
    const timer = setTimeout(resolve, STATS_TIMEOUT_MS, null)
    try {
      return await Promise.race([this.#runtime.stats().catch(() => null), late])
    } finally {
      clearTimeout(timer)
    }
  }
}

const labelsOf = (version: string) => ({ model: version.split('@', 1)[0] ?? '', version })
