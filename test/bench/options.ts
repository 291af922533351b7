// What `make bench ARGS="…"` can be told.

import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'

import { readCount, readNames } from './arguments.ts'

const SECTIONS = ['engine', 'llama', 'gateway', 'perplexity', 'reference'] as const
type Section = (typeof SECTIONS)[number]

export interface BenchOptions {
  sections: ReadonlySet<Section>
  /** turns of each contestant in each case */
  rounds: number
  /** tokens that each sequence generates */
  generatedTokens: number
  /** of a forward pass, ours and llama.cpp's */
  threads: number
  isQuick: boolean
  jsonFile: string | null
}

export const USAGE = `Usage: node test/bench/main.ts [options]        make bench ARGS="[options]"

  --only SECTION     ${SECTIONS.join(', ')}; several with commas; all where not given
                     (llama is engine with llama.cpp beside it)
  --quick            one round, fewer tokens: does it run, not how fast
  --rounds N         turns of each contestant in each case (default 5)
  --threads N        of a forward pass, ours and llama.cpp's (default one for each core)
  --json FILE        write every figure there too
  --help
`

const ROUNDS = 5
const GENERATED_TOKENS = 64
const QUICK_GENERATED_TOKENS = 24

/** @returns null where help was asked for @throws Error naming the option, what was given and what is allowed */
export function readOptions(args: string[]): BenchOptions | null {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: 'string' },
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      threads: { type: 'string' },
      json: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return null
  const isQuick = values.quick
  return {
    sections: readNames('--only', values.only, SECTIONS),
    rounds: readCount('--rounds', values.rounds, isQuick ? 1 : ROUNDS),
    generatedTokens: isQuick ? QUICK_GENERATED_TOKENS : GENERATED_TOKENS,
    threads: readCount('--threads', values.threads, availableParallelism()),
    isQuick,
    jsonFile: values.json ?? null,
  }
}
