// What `make bench-gateway ARGS="…"` can be told.

import { parseArgs } from 'node:util'

import { readCount, readNames } from '../arguments.ts'

const SECTIONS = ['closed', 'open', 'memory'] as const
type Section = (typeof SECTIONS)[number]
const CONTESTANTS = ['nginx', 'bare', 'portkey', 'litellm', 'headrace'] as const
export type ContestantName = (typeof CONTESTANTS)[number]

export interface OverheadOptions {
  sections: ReadonlySet<Section>
  contestants: ReadonlySet<ContestantName>
  /** turns of each contestant in each case */
  rounds: number
  /** of a turn, after its warm-up */
  seconds: number
  isQuick: boolean
  jsonFile: string | null
  profileDir: string | null
}

export const USAGE = `Usage: node test/bench/overhead/main.ts [options]        make bench-gateway ARGS="[options]"

  --only SECTION     ${SECTIONS.join(', ')}; several with commas; all where not given
  --against NAMES    ${CONTESTANTS.join(', ')}; with commas; all where not given
  --quick            one round of a second, fewer requests: does it run, not how much it costs
  --rounds N         turns of each contestant in each case (default 3)
  --seconds N        of a turn (default 4)
  --cpu-prof FOLDER  write a CPU profile of Headrace's process there when it ends
  --json FILE        write every figure there too
  --help
`

const ROUNDS = 3
const SECONDS = 4

/** @returns null where help was asked for @throws Error naming the option, what was given and what is allowed */
export function readOptions(args: string[]): OverheadOptions | null {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: 'string' },
      against: { type: 'string' },
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      'cpu-prof': { type: 'string' },
      json: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return null
  const isQuick = values.quick
  return {
    sections: readNames('--only', values.only, SECTIONS),
    contestants: readNames('--against', values.against, CONTESTANTS),
    rounds: readCount('--rounds', values.rounds, isQuick ? 1 : ROUNDS),
    seconds: readCount('--seconds', values.seconds, isQuick ? 1 : SECONDS),
    isQuick,
    jsonFile: values.json ?? null,
    profileDir: values['cpu-prof'] ?? null,
  }
}
