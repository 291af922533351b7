// The export of closed days as metrics, read when scraped. They are there where days are exported.

import { Counter, Gauge } from 'prom-client'
import type { Registry } from 'prom-client'

export interface ExportSource {
  readonly lastSuccessMs: number | null
  readonly failures: number
  readonly days: number
}

export function exposeExports(registers: Registry[], source: ExportSource): void {
  new Gauge({
    name: 'headrace_export_last_success_timestamp_seconds',
    help: 'When all closed days were last seen to be at their destination; 0: not since the start. Hours ago: the log says why.',
    registers,
    collect() {
      this.set((source.lastSuccessMs ?? 0) / 1000)
    },
  })
  new Counter({
    name: 'headrace_export_failures_total',
    help: 'Passes over the closed days that failed since the start. What is due is tried again every minute.',
    registers,
    collect() {
      this.reset()
      this.inc(source.failures)
    },
  })
  new Counter({
    name: 'headrace_export_days_total',
    help: 'Days that this process exported since the start, those with late rows once more.',
    registers,
    collect() {
      this.reset()
      this.inc(source.days)
    },
  })
}
