// What `make bench-log ARGS="…"` can be told.

import { parseArgs } from 'node:util'

import { readCount } from '../arguments.ts'

export interface LogOptions {
  /** exchanges that are closed in a second */
  perSecond: number
  seconds: number
  /** of the day that is searched; 0: nothing is */
  rows: number
}

const PER_SECOND = 3_000
const SECONDS = 60
const ROWS = 1_000_000

export const USAGE = `Usage: node test/bench/log/main.ts [options]        make bench-log ARGS="[options]"

  --per-second N   exchanges that are closed in a second (default ${PER_SECOND})
  --seconds N      for so long (default ${SECONDS})
  --rows N         of the day that is searched, 0 for none (default ${ROWS})
  --help
`

/** @returns null where help was asked for @throws Error naming the option, what was given and what is allowed */
export function readOptions(args: string[]): LogOptions | null {
  const { values } = parseArgs({
    args,
    options: {
      'per-second': { type: 'string' },
      seconds: { type: 'string' },
      rows: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return null
  return {
    perSecond: readCount('--per-second', values['per-second'], PER_SECOND, {
      from: 1,
      to: 1_000_000,
    }),
    seconds: readCount('--seconds', values.seconds, SECONDS),
    rows: readCount('--rows', values.rows, ROWS, { from: 0, to: 100_000_000 }),
  }
}
