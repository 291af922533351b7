// The exchange log as metrics, read when scraped.

import type { Registry } from 'prom-client'

import { exposeFigures } from './figures.ts'
import type { Figure } from './figures.ts'

export interface LogSource {
  readonly pending: number
  readonly pendingBytes: number
  readonly maxBytes: number
  readonly lagMs: number
  readonly dropped: number
  readonly damaged: number
}

const GAUGES: Figure<LogSource>[] = [
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
  ['spool_max_bytes', 'Most that they may take.', ({ maxBytes }) => maxBytes],
  [
    'lag_seconds',
    'For how long the oldest exchange of this process has waited to be written.',
    ({ lagMs }) => lagMs / 1000,
  ],
]

const COUNTERS: Figure<LogSource>[] = [
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
  exposeFigures(registers, log, {
    prefix: 'headrace_exchange_log_',
    gauges: GAUGES,
    counters: COUNTERS,
  })
}
