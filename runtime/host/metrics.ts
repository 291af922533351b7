// This host's figures in Prometheus' text format, for whoever watches machines: engines by version, and the process.
//
// A gateway tells the engines of all its runtimes as `headrace_engine_…` and their memory as `headrace_runtime_memory_…`;
// here they are `headrace_runtime_engine_…` and `headrace_host_memory_…`, this host's alone, so that nothing is counted
// twice where both are scraped.
//
// Knows: the figures' names, the format. Does not know: HTTP, engines. Written by hand: all of it is read when scraped, and
// the runtime is to start without a library for it.

import { monitorEventLoopDelay } from 'node:perf_hooks'

import type { EngineStats, HostStats } from '../protocol.ts'

export const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

type Kind = 'gauge' | 'counter'
type EngineFigure = [name: string, kind: Kind, help: string, read: (stats: EngineStats) => number]

const ENGINE_FIGURES: EngineFigure[] = [
  ['up', 'gauge', '1 while the engine is ready.', (s) => Number(s.state === 'ready')],
  ['failed', 'gauge', '1 where it has been given up.', (s) => Number(s.state === 'failed')],
  [
    'restarts_total',
    'counter',
    'Times its process ended and was started again.',
    (s) => s.restarts,
  ],
  ['running', 'gauge', 'Sequences that have a slot.', (s) => s.running],
  ['waiting', 'gauge', 'Sequences that wait for a slot.', (s) => s.waiting],
  ['slots', 'gauge', 'Sequences that can run at once.', (s) => s.slots],
  ['kv_tokens_used', 'gauge', 'Tokens in the KV cache.', (s) => s.kvTokensUsed],
  ['kv_tokens_capacity', 'gauge', 'Tokens that it has room for.', (s) => s.kvTokensCapacity],
  ['memory_bytes', 'gauge', "The engine process's memory.", (s) => s.memoryBytes],
  ['load_seconds', 'gauge', 'How long loading took.', (s) => s.loadMs / 1000],
  ['steps_total', 'counter', 'Forward passes since the engine started.', (s) => s.steps],
  ['step_sequences_total', 'counter', 'Sequences that had a part in them.', (s) => s.stepSequences],
  ['prefill_tokens_total', 'counter', 'Prompt tokens computed.', (s) => s.prefillTokens],
  ['decode_tokens_total', 'counter', 'Answer tokens computed.', (s) => s.decodeTokens],
  ['cached_tokens_total', 'counter', 'Prompt tokens found in the KV cache.', (s) => s.cachedTokens],
  ['prefill_seconds_total', 'counter', 'Time in passes over prompts.', (s) => s.prefillSeconds],
  ['decode_seconds_total', 'counter', 'Time in passes over answers.', (s) => s.decodeSeconds],
]

const LOOP_RESOLUTION_MS = 10

export class HostMetrics {
  readonly #loopDelay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS })

  constructor() {
    this.#loopDelay.enable()
  }

  render({ engines, memory }: HostStats): string {
    const page = new Page()
    for (const [name, kind, help, read] of ENGINE_FIGURES) {
      page.head(`headrace_runtime_engine_${name}`, kind, help)
      for (const stats of engines) {
        const model = stats.version.split('@', 1)[0] ?? ''
        page.sample(`headrace_runtime_engine_${name}`, read(stats), {
          model,
          version: stats.version,
        })
      }
    }
    const { rss } = process.memoryUsage()
    const { user, system } = process.cpuUsage()
    const alone = (name: string, kind: Kind, help: string, value: number) => {
      page.head(name, kind, help)
      page.sample(name, value, {})
    }
    alone('headrace_runtime_engines', 'gauge', 'Engines of this host.', engines.length)
    for (const [name, help, bytes] of [
      ['budget', 'Memory that versions may have here together.', memory.budgetBytes],
      ['used', 'Memory that versions have here.', memory.usedBytes],
      ['free', 'Memory of the machine, or its control group, that nobody uses.', memory.freeBytes],
    ] as const) {
      alone(`headrace_host_memory_${name}_bytes`, 'gauge', help, bytes)
    }
    alone(
      'headrace_runtime_event_loop_delay_p99_seconds',
      'gauge',
      "99th percentile of the host's event loop's delay since the last scrape; engines are apart.",
      this.#loopDelayS(),
    )
    alone('process_resident_memory_bytes', 'gauge', "The host process's memory.", rss)
    alone(
      'process_cpu_seconds_total',
      'counter',
      "The host process's time on a core, without its engines'.",
      (user + system) / 1e6,
    )
    const startedS = Math.floor(performance.timeOrigin / 1000)
    alone('process_start_time_seconds', 'gauge', 'When it started.', startedS)
    return page.text
  }

  close() {
    this.#loopDelay.disable()
  }

  #loopDelayS(): number {
    const delay = this.#loopDelay
    const ms = delay.count > 0 ? delay.percentile(99) / 1e6 - LOOP_RESOLUTION_MS : 0
    delay.reset()
    return Math.max(0, ms) / 1000
  }
}

class Page {
  text = ''

  head(name: string, kind: Kind, help: string) {
    this.text += `# HELP ${name} ${help}\n# TYPE ${name} ${kind}\n`
  }

  sample(name: string, value: number, labels: Record<string, string>) {
    const written = Object.entries(labels).map(([label, text]) => `${label}="${escape(text)}"`)
    this.text += `${name}${written.length > 0 ? `{${written.join(',')}}` : ''} ${value}\n`
  }
}

function escape(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
