// Targets as metrics: what was asked of them and how that went, and whether they are asked at all.

import { Counter, Gauge, Histogram } from 'prom-client'
import type { Registry } from 'prom-client'

import { FIRST_DELTA_BUCKETS } from './buckets.ts'
import { LabelRoom } from './label-room.ts'
import type { Attempt } from '../routing/route.ts'
import type { TargetHealths } from '../routing/target-health.ts'

/** targets' states, and when their upstreams' certificates end */
export type TargetSource = Pick<TargetHealths, 'states'>

/** targets that one process has asked since its start, and the codes that they failed with */
const MOST_TARGETS = 1_000
const MOST_RESULTS = 200

const STATES = { closed: 0, half_open: 1, open: 2 }

export class TargetMetrics {
  readonly #targets = new LabelRoom(MOST_TARGETS)
  readonly #results = new LabelRoom(MOST_RESULTS)
  readonly #attempts
  readonly #firstDelta

  constructor(registers: Registry[], healths: TargetSource) {
    this.#attempts = new Counter({
      name: 'headrace_attempts_total',
      help: 'Times a target was asked, by how: answered, or the code of its failure before the first delta.',
      labelNames: ['version', 'upstream', 'result'],
      registers,
    })
    this.#firstDelta = new Histogram({
      name: 'headrace_target_first_delta_seconds',
      help: 'From asking an upstream to the first delta of its answer: what it takes without anything of ours.',
      labelNames: ['upstream'],
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
        let room = MOST_TARGETS
        for (const { version, upstream, state } of healths.states()) {
          if (room-- <= 0) break
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
        let room = MOST_TARGETS
        for (const { version, upstream, open } of healths.states()) {
          if (room-- <= 0) break
          this.set({ version, upstream }, open)
        }
      },
    })
  }

  attempted(attempt: Attempt) {
    const [version, upstream] = this.#targets.fit(attempt.version, attempt.upstream)
    const [result] = this.#results.fit(attempt.error ?? 'answered')
    this.#attempts.inc({ version, upstream, result })
    if (attempt.error === null) this.#firstDelta.observe({ upstream }, attempt.ms / 1000)
  }
}
