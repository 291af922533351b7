// The entry of the command line: runs one command as this process.

import { pipeline } from 'node:stream/promises'

import { runProgram } from './run.ts'
import packageJson from '../package.json' with { type: 'json' }

await runProgram(process.argv.slice(2), {
  release: packageJson.version,
  env: process.env,
  stdout: process.stdout,
  stderr: process.stderr,
  writeBytes: (chunks) => pipeline(chunks, process.stdout, { end: false }),
  setExitCode: (code) => {
    process.exitCode = code
  },
})
