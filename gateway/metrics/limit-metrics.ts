// Limits and the response cache as metrics: all of them somebody's state, read when scraped.

import { Counter } from 'prom-client'
import type { Registry } from 'prom-client'

import { exposeFigures } from './figures.ts'
import type { Figure } from './figures.ts'

export interface LimitSources {
  limits: {
    readonly refused: ReadonlyMap<string, number>
    readonly isDegraded: boolean
    readonly replicas: number
  }
  admission: { readonly inHand: number; readonly refused: number }
  cache: { readonly hits: number; readonly misses: number; readonly bytes: number }
}

const GAUGES: Figure<LimitSources>[] = [
  [
    'limits_degraded',
    '1 while Redis is away and each replica keeps to its share of the limits.',
    ({ limits }) => Number(limits.isDegraded),
  ],
  [
    'limits_replicas',
    'Replicas that share the limits, as this one last heard.',
    ({ limits }) => limits.replicas,
  ],
  [
    'admitted_in_hand',
    'Requests that count against HEADRACE_MAX_CONCURRENT now.',
    ({ admission }) => admission.inHand,
  ],
  [
    'response_cache_bytes',
    'Memory that kept answers take in this process.',
    ({ cache }) => cache.bytes,
  ],
]

const COUNTERS: Figure<LimitSources>[] = [
  [
    'response_cache_hits_total',
    'Questions that were answered from the response cache.',
    ({ cache }) => cache.hits,
  ],
  [
    'response_cache_misses_total',
    'Questions that the response cache was asked for in vain.',
    ({ cache }) => cache.misses,
  ],
]

export function exposeLimits(registers: Registry[], sources: LimitSources) {
  exposeFigures(registers, sources, { prefix: 'headrace_', gauges: GAUGES, counters: COUNTERS })
  new Counter({
    name: 'headrace_limits_refused_total',
    help: 'Requests that a limit refused, by which; `overloaded` is that of the whole gateway.',
    labelNames: ['limit'],
    registers,
    collect() {
      this.reset()
      this.inc({ limit: 'overloaded' }, sources.admission.refused)
      for (const [limit, count] of sources.limits.refused) this.inc({ limit }, count)
    },
  })
}
