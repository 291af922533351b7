// Targets as metrics: what was asked of them and how that went, and whether they are asked at all.

import { Counter, Gauge, Histogram } from 'prom-client'
import type { Registry } from 'prom-client'

import type { Attempt } from '../routing/route.ts'
import type { TargetHealths } from '../routing/target-health.ts'

const STATES = { closed: 0, half_open: 1, open: 2 }

// From what an upstream next door takes to what a reasoning model does.
const FIRST_DELTA_BUCKETS = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 3, 5, 10, 20, 60,
]

export class TargetMetrics {
  readonly #attempts
  readonly #firstDelta

  constructor(registers: Registry[], healths: TargetHealths) {
    this.#attempts = new Counter({
      name: 'headrace_attempts_total',
      help: 'Times a target was asked, by how: answered, or the code of its failure before the first delta.',
      labelNames: ['version', 'upstream', 'result'],
      registers,
    })
    this.#firstDelta = new Histogram({
      name: 'headrace_target_first_delta_seconds',
      help: 'From asking a target to the first delta of its answer: what it takes without anything of ours.',
      labelNames: ['version', 'upstream'],
      buckets: FIRST_DELTA_BUCKETS,
      registers,
    })
    new Gauge({
      name: 'headrace_target_state',
      help: 'Circuit breaker of a target: 0 closed, 1 half open (one request tries), 2 open (left alone).',
      labelNames: ['version', 'upstream'],
      registers,
      collect() {
        this.reset()
        for (const { version, upstream, state } of healths.states()) {
          this.set({ version, upstream }, STATES[state])
        }
      },
    })
    new Gauge({
      name: 'headrace_target_open_requests',
      help: 'Requests that a target is answering for this gateway.',
      labelNames: ['version', 'upstream'],
      registers,
      collect() {
        this.reset()
        for (const { version, upstream, open } of healths.states()) {
          this.set({ version, upstream }, open)
        }
      },
    })
  }

  attempted({ version, upstream, ms, error }: Attempt) {
    this.#attempts.inc({ version, upstream, result: error ?? 'answered' })
    if (error === null) this.#firstDelta.observe({ version, upstream }, ms / 1000)
  }
}
