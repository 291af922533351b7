// The entry of the command line: runs one command and turns its end into an exit code.
//
// 0 done, 1 it failed, 2 the command or the settings make no sense.

import { pipeline } from 'node:stream/promises'

import { CommanderError } from 'commander'

import { createProgram } from './program.ts'
import { ConfigError } from '../gateway/settings/config.ts'
import packageJson from '../package.json' with { type: 'json' }

const FAILED = 1
const USAGE = 2

const program = createProgram({
  release: packageJson.version,
  env: process.env,
  stdout: process.stdout,
  stderr: process.stderr,
  writeBytes: (chunks) => pipeline(chunks, process.stdout, { end: false }),
  setExitCode: (code) => {
    process.exitCode = code
  },
})

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = tell(error)
}

function tell(error: unknown): number {
  // Commander has said what there was to say.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE
  const isDefect =
    !(error instanceof Error) || error instanceof TypeError || error instanceof ReferenceError
  const text = isDefect && error instanceof Error ? error.stack : undefined
  process.stderr.write(
    `headrace: ${text ?? (error instanceof Error ? error.message : String(error))}\n`,
  )
  return error instanceof ConfigError ? USAGE : FAILED
}
