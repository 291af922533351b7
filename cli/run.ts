// One run of the command line, from its words to its exit code.
//
// 0 done, 1 it failed, 2 the command or the settings make no sense.
//
// Knows: what is said of an error. Does not know: process, which main.ts hands over.

import { CommanderError, InvalidArgumentError } from 'commander'

import { createProgram } from './program.ts'
import { ConfigError } from '../gateway/settings/config.ts'
import type { ProgramDeps } from './program.ts'

const FAILED = 1
const USAGE = 2

/** @param args without the names of the program */
export async function runProgram(args: readonly string[], deps: ProgramDeps): Promise<void> {
  try {
    await createProgram(deps).parseAsync(args, { from: 'user' })
  } catch (error) {
    // Commander has said what there was to say, but of what a command found out itself.
    const isSaid = error instanceof CommanderError && !(error instanceof InvalidArgumentError)
    if (!isSaid) deps.stderr.write(`headrace: ${wordsOf(error)}\n`)
    deps.setExitCode(codeOf(error))
  }
}

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const isDefect = error instanceof TypeError || error instanceof ReferenceError
  return (isDefect && error.stack) || error.message
}

function codeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE
  return error instanceof ConfigError ? USAGE : FAILED
}
