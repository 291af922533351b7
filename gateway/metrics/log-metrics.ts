// The exchange log as metrics, read when scraped.

import { Counter, Gauge } from 'prom-client'
import type { Registry } from 'prom-client'

export interface LogSource {
  readonly pending: number
  readonly pendingBytes: number
  readonly dropped: number
  readonly damaged: number
}

type Figure = [name: string, help: string, read: (log: LogSource) => number]

const GAUGES: Figure[] = [
  [
    'pending',
    'Exchanges of this process that wait to be written. Growing: PostgreSQL, or the broker, is away or too slow.',
    ({ pending }) => pending,
  ],
  [
    'spool_bytes',
    'Disk that waiting exchanges take, with those of before; HEADRACE_SPOOL_MAX_BYTES is the most.',
    ({ pendingBytes }) => pendingBytes,
  ],
]

const COUNTERS: Figure[] = [
  [
    'dropped_total',
    'Exchanges that were given up since the start. Anything above zero is lost accounting.',
    ({ dropped }) => dropped,
  ],
  [
    'damaged_total',
    'Files of waiting exchanges that were set aside since the start, because something in them could not be read.',
    ({ damaged }) => damaged,
  ],
]

export function exposeLog(registers: Registry[], log: LogSource) {
  for (const [name, help, read] of GAUGES) {
    new Gauge({
      name: `headrace_exchange_log_${name}`,
      help,
      registers,
      collect() {
        this.set(read(log))
      },
    })
  }
  for (const [name, help, read] of COUNTERS) {
    new Counter({
      name: `headrace_exchange_log_${name}`,
      help,
      registers,
      collect() {
        this.reset()
        this.inc(read(log))
      },
    })
  }
}
