// Shows that an update loses nothing: two gateways behind a balancer, in front of two runtimes with the bundled model, all
// of them the real command line. Gateways are ended and started again one after the other, under load; then runtimes; then
// a runtime is killed, and only what it was answering fails, in words.
//
//   make rolling-proof                          three rounds of each
//   make rolling-proof ARGS='--rounds 1 --clients 4'

import { mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { cleanEnvironment } from '../bench/environment.ts'
import { makeFolder } from '../support/folder.ts'
import { freePorts } from '../support/free-ports.ts'
import { runHeadrace, startHeadrace } from '../support/process.ts'
import { REDIS_IS_ABSENT, startRedis } from '../support/redis.ts'
import { NGINX_IS_ABSENT, startBalancer } from './balancer.ts'
import { LogReader, ProofPostgres } from './database.ts'
import { chat, startLoad } from './load.ts'
import { readOptions, say, tally, Verdict } from './verdict.ts'
import type { TestProcess } from '../support/process.ts'
import type { Seen } from './load.ts'
import type { Lasting } from '../support/lasting.ts'

const MODEL = 'headrace-guide'
const ADMIN_KEY = 'hr_proof_of_nothing_but_of_what_is_promised'
const TOKEN = 'a-token-that-runtimes-are-asked-with'
const PAUSE_MS = 30
/** between one that serves again and the next that ends */
const SETTLE_MS = 1_500
const PATIENCE_MS = 60_000

const { rounds, clients } = readOptions({ rounds: 3, clients: 8 })
for (const isAbsent of [NGINX_IS_ABSENT, REDIS_IS_ABSENT]) {
  if (isAbsent) throw new Error(`Nothing can be shown: ${isAbsent}.`)
}
const verdict = new Verdict()
await using undo = new AsyncDisposableStack()
const t: Lasting = { after: (stop) => undo.defer(stop) }

/** One process of the command line, started again at will at the same address. */
interface Part {
  name: string
  start(): Promise<void>
  running(): TestProcess
}

const { gateways, runtimes, url, database } = await startAll()
const log = new LogReader(t, { connectionString: database })

await rollUnderLoad('gateways', gateways)
await rollUnderLoad('runtimes', runtimes)
await killUnderLoad()
verdict.tell()

async function startAll() {
  const library = await makeFolder(t, 'library')
  const brought = await runHeadrace(t, ['models', 'ensure', MODEL], {
    env: { ...cleanEnvironment(), HEADRACE_DATA_DIR: library },
  })
  if (brought.code !== 0) throw new Error(brought.stderr)
  const postgres = await ProofPostgres.start(t)
  const redis = await startRedis(t)
  const ports = (await freePorts(4)) as [number, number, number, number]
  const runtimePorts = ports.slice(0, 2)
  const gatewayPorts = ports.slice(2)

  const runtimes = runtimePorts.map((port, index) =>
    partOf(`runtime ${index + 1}`, library, 'runtime', /the runtime listens/, {
      HEADRACE_RUNTIME_LISTEN: `http://127.0.0.1:${port}`,
      HEADRACE_THREADS: '1',
    }),
  )
  const gateways = gatewayPorts.map((port, index) =>
    partOf(`gateway ${index + 1}`, library, 'gateway', /Headrace is ready/, {
      HEADRACE_PORT: String(port),
      HEADRACE_ADMIN_KEY: ADMIN_KEY,
      RUNTIME_URLS: runtimePorts.map((each) => `http://127.0.0.1:${each}`).join(','),
      DATABASE_URL: postgres.url,
      REDIS_URL: redis.url,
    }),
  )
  for (const part of [...runtimes, ...gateways]) await part.start()
  return { gateways, runtimes, url: await startBalancer(t, gatewayPorts), database: postgres.url }
}

function partOf(
  name: string,
  library: string,
  command: string,
  serves: RegExp,
  settings: Record<string, string>,
): Part {
  let dataDir: string | null = null
  let running: TestProcess | null = null
  const start = async () => {
    if (dataDir === null) {
      dataDir = await makeFolder(t, 'proof')
      await mkdir(dataDir, { recursive: true })
      await symlink(join(library, 'models'), join(dataDir, 'models'))
    }
    const env = cleanEnvironment({
      HEADRACE_DATA_DIR: dataDir,
      HEADRACE_DEFAULT_MODEL: MODEL,
      HEADRACE_RUNTIME_TOKEN: TOKEN,
      ...settings,
    })
    running = startHeadrace(t, [command], { env })
    await running.says(serves)
  }
  return { name, start, running: () => running! }
}

async function rollUnderLoad(what: string, parts: readonly Part[]) {
  say(`The ${what} are updated ${rounds} times, one after the other, under ${clients} clients.`)
  const { seen, load } = begin()
  const codes: (number | NodeJS.Signals)[] = []
  await sleep(SETTLE_MS)
  for (let round = 1; round <= rounds; round++) {
    for (const part of parts) {
      const startMs = performance.now()
      part.running().kill('SIGTERM')
      codes.push(await part.running().ended)
      const drainedMs = performance.now() - startMs
      await part.start()
      const awayMs = performance.now() - startMs
      say(
        `${part.name}: drained in ${drainedMs.toFixed(0)} ms, back after ${awayMs.toFixed(0)} ms, ` +
          `${seen.filter(({ isWhole }) => isWhole).length} answers so far`,
      )
      await sleep(SETTLE_MS)
    }
  }
  await load.stop()

  const bad = seen.filter(({ isWhole }) => !isWhole)
  verdict.hold(
    `nobody notices an update of the ${what}`,
    seen.length > 0 && bad.length === 0,
    `${seen.length} requests, failed: ${tellAll(bad)}`,
  )
  verdict.hold(
    `each of the ${what} ends by itself, with code 0`,
    codes.every((code) => code === 0),
    tally(codes.map(String)),
  )
  await holdLogged(`during an update of the ${what}`, seen)
}

async function killUnderLoad() {
  const [victim] = runtimes
  say(`${victim!.name} is killed ${rounds} times, under ${clients} clients.`)
  const { seen, load } = begin()
  const kills: number[] = []
  for (let round = 1; round <= rounds; round++) {
    await sleep(SETTLE_MS)
    kills.push(performance.now())
    victim!.running().kill('SIGKILL')
    await victim!.running().ended
    await sleep(SETTLE_MS)
    await victim!.start()
    say(`kill ${round}: ${seen.filter(({ isWhole }) => !isWhole).length} have failed so far`)
  }
  await sleep(SETTLE_MS)
  await load.stop()

  const bad = seen.filter(({ isWhole }) => !isWhole)
  const isInFlight = ({ startMs, endMs }: Seen) =>
    kills.some((killMs) => startMs <= killMs && endMs >= killMs)
  verdict.hold(
    'a runtime that is killed takes along what was in flight, and nothing else',
    bad.every(isInFlight),
    `${seen.length} requests, ${seen.filter(isInFlight).length} in flight at a kill, failed: ${tellAll(bad)}`,
  )
  verdict.hold(
    'whoever is hit is told so',
    bad.every(({ isEnded, code }) => isEnded && code !== null && code !== 'none'),
    tellAll(bad),
  )
  await holdLogged('while a runtime is killed', seen)
}

function begin() {
  const seen: Seen[] = []
  const load = startLoad({
    clients,
    pauseMs: PAUSE_MS,
    origin: () => url,
    ask: () => chat(ADMIN_KEY, Math.random() < 0.5, MODEL),
    seen: (one) => void seen.push(one),
  })
  return { seen, load }
}

async function holdLogged(when: string, seen: readonly Seen[]) {
  const ids = seen.flatMap(({ isEnded, id }) => (isEnded && id !== null ? [id] : []))
  const missing = await log.missingOf(ids, PATIENCE_MS)
  verdict.hold(
    `every answer is in the log, ${when}`,
    missing.length === 0,
    `${ids.length} read, ${missing.length} missing`,
  )
}

function tellAll(bad: readonly Seen[]): string {
  return tally(bad.map(({ status, code }) => `${status ?? 'no answer'} ${code ?? 'not whole'}`))
}
