// Runs the test suite: every test/**/*.test.ts, or the files that are named. `--times` tells what took longest instead
// of what passed.
//
// Files run in processes of their own, as many at once as the machine can take: most of a test's time is waiting for a
// process to start or a socket to answer, but engines and PostgreSQL want their share of the cores. One PostgreSQL
// serves all files: to make and start one for each cost more than the tests that asked it.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { environmentOf, startServer } from './support/postgres-server.ts'

const CONCURRENCY = Math.max(3, Math.floor(availableParallelism() / 2))
/** of one test; the slowest take a tenth of that on two cores */
const TIMEOUT_MS = 120_000

/** what Node makes of our files and of the packages', kept for the next process: half of a command's time without it */
const COMPILED = join(import.meta.dirname, '../.cache/compiled')

const { values, positionals: named } = parseArgs({
  allowPositionals: true,
  options: { times: { type: 'boolean', default: false } },
})
const files = named.length > 0 ? named : globSync('test/**/*.test.ts').sort()
const flags = [
  '--test',
  `--test-concurrency=${CONCURRENCY}`,
  `--test-timeout=${TIMEOUT_MS}`,
  `--test-reporter=${values.times ? './test/times-reporter.ts' : 'spec'}`,
]
// The suite's own environment: settings of whoever runs it must not change what is tested.
const env = Object.fromEntries(
  Object.entries(process.env).filter(
    ([name]) => !/^(HEADRACE_|RUNTIME_URLS$|DATABASE_URL$|PG)/.test(name),
  ),
)

const interruption = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    console.error(`${signal}: the run ends`)
    interruption.abort()
  })
}
// Whatever ends the run, the server is stopped and its folder gone; where this process is killed, the server's own
// watchdog ends it.
await using started = new AsyncDisposableStack()
const lasting = { after: (undo: () => Promise<void>) => started.defer(undo) }
const shared = files.length > 1 ? environmentOf(await startServer(lasting, true)) : {}

process.exitCode = interruption.signal.aborted ? 1 : await run()

async function run(): Promise<number> {
  const child = spawn(process.execPath, [...flags, ...files], {
    stdio: 'inherit',
    env: { NODE_COMPILE_CACHE: COMPILED, ...env, ...shared },
  })
  // From a terminal it has heard of it too; told twice, it ends all the same.
  interruption.signal.addEventListener('abort', () => child.kill('SIGINT'))
  const [code] = (await once(child, 'exit')) as [number | null]
  return code ?? 1
}
