// Shows that two gateways go on without PostgreSQL, and without Redis: under a steady load of several known keys
// PostgreSQL is stopped, for a minute, and started again; hangs for another, and goes on; then Redis is killed, and started
// again. (A server that hangs is worse than one that is gone: nobody says that it is away, and whether what was under way
// has happened shows later.)
//
//   make outage-proof                          a minute each without PostgreSQL, half of one without Redis
//   make outage-proof ARGS='--seconds 10'      ten seconds each, and five

import { setTimeout as sleep } from 'node:timers/promises'

import { table } from '../bench/table.ts'
import { LogReader } from './database.ts'
import { chat, startLoad } from './load.ts'
import { startPair } from './pair.ts'
import { readOptions, say, tally, Verdict } from './verdict.ts'
import type { Seen } from './load.ts'
import type { Lasting } from '../support/lasting.ts'

interface Phase {
  name: string
  seen: Seen[]
  /** what each gateway said when it was asked whether it is ready */
  readiness: number[]
  /** the most that waited for PostgreSQL at one gateway */
  pending: number
  /** gateways that said that limits are degraded, at the phase's end */
  degraded: number
}

const KEYS = 6
const CLIENTS = 12
const PAUSE_MS = 100
const CALM_MS = 6_000
const WATCH_MS = 250
const PATIENCE_MS = 60_000
/** met by nobody, but counted: also by a replica that keeps to its half */
const PLENTY = {
  requests_per_minute: 100_000,
  tokens_per_minute: 100_000_000,
  concurrent_requests: 1_000,
  daily_usd: 1_000,
}

const { seconds } = readOptions({ seconds: 60 })
const verdict = new Verdict()
await using undo = new AsyncDisposableStack()
const t: Lasting = { after: (stop) => undo.defer(stop) }

const { redis, postgres, replicas } = await startPair(t)
const keys: string[] = []
for (let each = 1; each <= KEYS; each++) keys.push(await replicas[0].makeKey(`key ${each}`, PLENTY))

const phases: Phase[] = []
const begin = (name: string) => {
  say(name)
  phases.push({ name, seen: [], readiness: [], pending: 0, degraded: 0 })
}
const run = async (ms: number) => {
  await sleep(ms)
  const degraded = await Promise.all(
    replicas.map((each) => each.metric('headrace_limits_degraded')),
  )
  phases.at(-1)!.degraded = degraded.reduce((sum, one) => sum + one, 0)
}

begin('all is well')
let asked = 0
const load = startLoad({
  clients: CLIENTS,
  pauseMs: PAUSE_MS,
  origin: (client) => replicas[client % 2]!.url,
  // Every client with every key in turn, so that both gateways know them all.
  ask: (client) => chat(keys[(asked++ + client) % KEYS]!, Math.random() < 0.5),
  seen: (one) => void phases.at(-1)!.seen.push(one),
})
const watching = new AbortController()
const watched = watch(watching.signal)
await run(CALM_MS)

begin('PostgreSQL is stopped')
await postgres.stopAtOnce()
await run(seconds * 1000)
begin('PostgreSQL is back')
await postgres.startAgain()
await run(CALM_MS)

begin('PostgreSQL hangs')
await postgres.freeze()
await run(seconds * 1000)
begin('PostgreSQL goes on')
await postgres.thaw()
await run(CALM_MS)

begin('Redis is killed')
await redis.kill()
await run((seconds * 1000) / 2)
begin('Redis is back')
await redis.start()
await run(CALM_MS)

await load.stop()
watching.abort()
await watched
await judge()
verdict.tell()

/** Asks both whether they are ready, again and again, as a load balancer does. */
async function watch(signal: AbortSignal) {
  while (!signal.aborted) {
    const phase = phases.at(-1)!
    for (const replica of replicas) {
      const response = await fetch(`${replica.url}/readyz`).catch(() => null)
      phase.readiness.push(response?.status ?? 0)
      await response?.text()
      const pending = await replica.metric('headrace_exchange_log_pending').catch(() => 0)
      phase.pending = Math.max(phase.pending, pending)
    }
    await sleep(WATCH_MS, undefined, { signal }).catch(() => {})
  }
}

async function judge() {
  const failedOf = ({ seen }: Phase) => seen.filter(({ isWhole }) => !isWhole)
  const rows = phases.map((phase) => {
    const ready = phase.readiness.filter((status) => status === 200).length
    const slowest = phase.seen.reduce(
      (most, { startMs, endMs }) => Math.max(most, endMs - startMs),
      0,
    )
    return [
      phase.name,
      String(phase.seen.length),
      String(failedOf(phase).length),
      slowest.toFixed(0),
      `${ready} of ${phase.readiness.length}`,
      String(phase.pending),
      String(phase.degraded),
    ]
  })
  const head = ['phase', 'requests', 'failed', 'slowest ms', 'ready', 'most pending', 'degraded']
  console.log(`\n${table(head, rows)}`)

  const told = (phase: Phase) =>
    failedOf(phase).map(({ status, code }) => `${status ?? 'no answer'} ${code ?? 'not whole'}`)
  verdict.hold(
    'no valid key is refused, no request fails',
    phases.every((phase) => failedOf(phase).length === 0),
    tally(phases.flatMap(told)),
  )
  verdict.hold(
    'both are ready all along',
    phases.every(({ readiness }) => readiness.every((status) => status === 200)),
    tally(phases.flatMap(({ readiness }) => readiness.map(String))),
  )
  const degraded = phases.map((phase) => phase.degraded)
  verdict.hold(
    'a metric says that limits are degraded, while Redis is away and only then',
    degraded.join() === '0,0,0,0,0,2,0',
    degraded.join(', '),
  )

  const reader = new LogReader(t, { connectionString: postgres.url })
  const ids = phases.flatMap(({ seen }) => seen.flatMap(({ id }) => id ?? []))
  const missing = await reader.missingOf(ids, PATIENCE_MS)
  const written = await reader.ids()
  const counted = await reader.counted()
  const all = new Set(ids)
  verdict.hold(
    'every answered request has its row',
    missing.length === 0,
    `${ids.length} answered, ${missing.length} missing`,
  )
  verdict.hold(
    'and no more than one',
    new Set(written).size === written.length && counted === written.length,
    `${written.length} rows, hourly sums say ${counted}`,
  )
  const strange = written.filter((id) => !all.has(id))
  verdict.hold('no row is of a request that nobody made', strange.length === 0, `${strange.length}`)
  const dropped = await Promise.all(
    replicas.map((each) => each.metric('headrace_exchange_log_dropped_total')),
  )
  verdict.hold(
    'no gateway gave an exchange up',
    dropped.every((one) => one === 0),
    dropped.join(', '),
  )
}
