// Runs the test suite: every test/**/*.test.ts, or the files that are named.
//
// Files run in processes of their own, as many at once as the machine can take: most of a test's time is waiting for a
// process to start or a socket to answer, but engines and PostgreSQL want their share of the cores.

import { spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'

const CONCURRENCY = Math.max(2, Math.floor(availableParallelism() / 2))
/** of one test; the slowest take a tenth of that on two cores */
const TIMEOUT_MS = 120_000

const named = process.argv.slice(2)
const files = named.length > 0 ? named : globSync('test/**/*.test.ts').sort()
const flags = [
  '--test',
  `--test-concurrency=${CONCURRENCY}`,
  `--test-timeout=${TIMEOUT_MS}`,
  '--test-reporter=spec',
]
// The suite's own environment: settings of whoever runs it must not change what is tested.
const env = Object.fromEntries(
  Object.entries(process.env).filter(
    ([name]) => !/^(HEADRACE_|RUNTIME_URLS$|DATABASE_URL$|PG)/.test(name),
  ),
)
const child = spawn(process.execPath, [...flags, ...files], { stdio: 'inherit', env })
child.on('exit', (code) => {
  process.exitCode = code ?? 1
})
