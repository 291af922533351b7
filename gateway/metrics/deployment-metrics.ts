// Deployments as metrics: what was decided, and what is live, read when scraped.

import { Counter, Gauge } from 'prom-client'
import type { Registry } from 'prom-client'

export interface DeploymentSource {
  /** the newest entry of each model that is live */
  live: { list(): Iterable<{ model: string; number: number }> }
  /** entries that this process wrote */
  ledger: {
    counts(): Iterable<{ model: string; action: string; outcome: string; count: number }>
  }
}

/** models of a library, and what was ever done to them */
const MOST_MODELS = 1_000
const MOST_ENTRIES = 3_000

export function exposeDeployments(registers: Registry[], { live, ledger }: DeploymentSource) {
  new Counter({
    name: 'headrace_deployments_total',
    help: 'Entries of the ledger of deployments that this process wrote. `rollback` is a version that was taken back.',
    labelNames: ['model', 'action', 'outcome'],
    registers,
    collect() {
      this.reset()
      let room = MOST_ENTRIES
      for (const { count, ...labels } of ledger.counts()) if (room-- > 0) this.inc(labels, count)
    },
  })
  new Gauge({
    name: 'headrace_live_deployment',
    help: "Number of the model's entry of the ledger that is live. A step is a deployment.",
    labelNames: ['model'],
    registers,
    collect() {
      this.reset()
      let room = MOST_MODELS
      for (const { model, number } of live.list()) if (room-- > 0) this.set({ model }, number)
    },
  })
}
