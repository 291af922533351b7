// The figures as they are printed.

import { figure, megabytes, table } from '../table.ts'
import { cpuRatio } from './bars.ts'
import { CLOSED, OPEN } from './case.ts'
import { BARE } from './contestants.ts'
import { wholeCpuMs } from './rounds.ts'
import type { LoadCase } from './case.ts'
import type { MemoryFigures } from './memory.ts'
import type { Figures } from './rounds.ts'

const NOTHING = '–'
const RIVALS = [BARE, 'Portkey', 'LiteLLM']

const shown = (value: number | null) => (value === null ? NOTHING : figure(value))
const times = (ratio: number | null) => (ratio === null ? NOTHING : `${ratio.toFixed(2)} ×`)

/** Of one case, a row for each contestant. */
export function caseTable(figures: readonly Figures[], { name }: LoadCase): string {
  const rows = figures
    .filter(({ loadCase }) => loadCase === name)
    .map((one) => [
      one.contestant,
      shown(one.cpuMs),
      shown(one.postgresCpuMs || null),
      shown(wholeCpuMs(one)),
      one.perSecond.toFixed(0),
      figure(one.p50Ms),
      figure(one.p99Ms),
      shown(one.addedP50Ms),
      shown(one.addedP99Ms),
      one.memoryBytes === null ? NOTHING : megabytes(one.memoryBytes),
      one.failures === 0 ? '' : `${one.failures} FAILED`,
    ])
  const head = [
    name,
    'CPU ms/1000',
    'PostgreSQL',
    'sum',
    'req/s',
    'p50 ms',
    'p99 ms',
    '+p50',
    '+p99',
    'MiB',
    '',
  ]
  return table(head, rows)
}

/** Headrace's CPU with its database as a multiple of each rival's, its gateway's alone in parentheses. */
export function ratioTable(figures: readonly Figures[]): string {
  const rivals = RIVALS.filter((rival) => figures.some(({ contestant }) => contestant === rival))
  const rows = [...CLOSED, OPEN]
    .filter(({ name }) => figures.some(({ loadCase }) => loadCase === name))
    .map(({ name }) => [
      name,
      ...rivals.map((rival) => {
        const alone = cpuRatio(figures, rival, name, ({ cpuMs }) => cpuMs)
        return `${times(cpuRatio(figures, rival, name))} (${times(alone)})`
      }),
    ])
  return table(['Headrace with its log (without)', ...rivals.map((rival) => `of ${rival}`)], rows)
}

export function memoryTable({ steps }: MemoryFigures): string {
  const rows = steps
    .filter((_, at) => at % 4 === 3)
    .map(({ requests, bytes }) => [String(requests), megabytes(bytes)])
  return table(['requests', 'gateway MiB'], rows)
}
