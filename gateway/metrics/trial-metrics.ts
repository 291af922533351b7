// Versions on trial as metrics: canaries that were taken back, copies for shadows.

import { Counter, Gauge } from 'prom-client'
import type { Registry } from 'prom-client'

export interface TrialSources {
  canaries: {
    readonly rolledBack: Iterable<{ model: string; version: string; guard: string; count: number }>
  }
  shadows: {
    readonly results: Readonly<Record<'kept' | 'dropped' | 'lost', number>>
    readonly pending: number
  }
}

export function exposeTrials(registers: Registry[], { canaries, shadows }: TrialSources) {
  new Counter({
    name: 'headrace_canary_rollbacks_total',
    help: 'Canaries that this gateway took back, by the guard that was breached.',
    labelNames: ['model', 'version', 'guard'],
    registers,
    collect() {
      this.reset()
      for (const { count, guard, ...labels } of canaries.rolledBack) {
        this.inc({ ...labels, guard: onTheWire(guard) }, count)
      }
    },
  })
  new Counter({
    name: 'headrace_shadow_copies_total',
    help: 'Requests copied to a shadow: kept, dropped for want of room, or lost because the database was away.',
    labelNames: ['result'],
    registers,
    collect() {
      this.reset()
      for (const [result, count] of Object.entries(shadows.results)) this.inc({ result }, count)
    },
  })
  new Gauge({
    name: 'headrace_shadow_copies_pending',
    help: 'Copies that wait for a shadow or are being answered by it.',
    registers,
    collect() {
      this.set(shadows.pending)
    },
  })
}

/** As deployments name it: error_rate. */
const onTheWire = (guard: string) =>
  guard.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
