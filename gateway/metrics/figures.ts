// Figures that somebody else keeps, as metrics: read when scraped, and counted nowhere twice.

import { Counter, Gauge } from 'prom-client'
import type { Registry } from 'prom-client'

/** Name behind the prefix, help, and where the figure is. */
export type Figure<Source> = [name: string, help: string, read: (source: Source) => number]

export interface Figures<Source> {
  /** `headrace_`, or with a subject behind it */
  prefix: string
  gauges: readonly Figure<Source>[]
  counters: readonly Figure<Source>[]
}

export function exposeFigures<Source>(
  registers: Registry[],
  source: Source,
  { prefix, gauges, counters }: Figures<Source>,
) {
  for (const [name, help, read] of gauges) {
    new Gauge({
      name: prefix + name,
      help,
      registers,
      collect() {
        this.set(read(source))
      },
    })
  }
  for (const [name, help, read] of counters) {
    new Counter({
      name: prefix + name,
      help,
      registers,
      collect() {
        this.reset()
        this.inc(read(source))
      },
    })
  }
}
