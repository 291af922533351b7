// Shows that a gateway under mixed traffic stays as it is: streamed and not, in all dialects, with clients that leave,
// upstreams that fail, keys that are refused. After a warm-up its memory and its descriptors are flat, and in the end
// nothing is open and every request has its row.
//
//   make soak-proof                          ten minutes
//   make soak-proof ARGS='--minutes 1'       one

import { readdir } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

import { canMeasure, usedBy } from '../bench/overhead/process-tree.ts'
import { median } from '../bench/statistics.ts'
import { megabytes, table } from '../bench/table.ts'
import { LogReader, ProofPostgres } from './database.ts'
import { startLoad } from './load.ts'
import { Replica } from './replica.ts'
import { MIX } from './mix.ts'
import { startUpstream } from './upstream.ts'
import { readOptions, say, tally, Verdict } from './verdict.ts'
import type { Seen } from './load.ts'
import type { Kind } from './mix.ts'
import type { Lasting } from '../support/lasting.ts'

interface Sample {
  atMs: number
  requests: number
  memoryBytes: number
  descriptors: number
}

const CLIENTS = 16
const PAUSE_MS = 60
const MINUTE_MS = 60_000
const SAMPLES = 60
/** Of the run, from its start: code is compiled, heaps find their size, connections are opened. */
const WARM_UP = 0.4
const LAST = 0.3
/** Garbage waits for its collection; what leaks for ten minutes is far more. */
const MEMORY_GROWTH = 0.1
const DESCRIPTOR_GROWTH = 8
const PATIENCE_MS = 60_000
/** what the upstream's faults leave in the log */
const EXPECTED_ERRORS = [/^The upstream at \S+ answered with status 500/, /^an answer broke off$/]
const PLENTY = { requests_per_minute: 1_000_000, concurrent_requests: 1_000, daily_usd: 10_000 }

const { minutes } = readOptions({ minutes: 10 })
if (!canMeasure()) throw new Error('Nothing can be shown: memory is read from /proc, on Linux.')
const verdict = new Verdict()
await using undo = new AsyncDisposableStack()
const t: Lasting = { after: (stop) => undo.defer(stop) }

const upstream = await startUpstream(t)
const postgres = await ProofPostgres.start(t)
const gateway = await Replica.start(t, {
  name: 'a',
  upstreamUrl: upstream.url,
  databaseUrl: postgres.url,
})
const key = await gateway.makeKey('proof', PLENTY)

say(`${minutes} minutes of mixed traffic, ${CLIENTS} clients.`)
const outcomes = new Map<Kind, string[]>(MIX.map((kind) => [kind, []]))
const surprises: string[] = []
const ids: string[] = []
let requests = 0
const kinds = new Map<Seen['ask'], Kind>()
const load = startLoad({
  clients: CLIENTS,
  pauseMs: PAUSE_MS,
  origin: () => gateway.url,
  ask: () => {
    const kind = draw()
    const ask = kind.ask(key)
    kinds.set(ask, kind)
    return ask
  },
  seen: (one) => {
    requests++
    if (one.id !== null) ids.push(one.id)
    const kind = kinds.get(one.ask)!
    kinds.delete(one.ask)
    const outcome = outcomeOf(one)
    outcomes.get(kind)!.push(outcome)
    if (!kind.isExpected(one)) surprises.push(`${kind.name}: ${outcome}`)
  },
})
const samples: Sample[] = []
const startMs = performance.now()
for (let count = 1; count <= SAMPLES; count++) {
  await sleep(Math.max(0, startMs + (count * minutes * MINUTE_MS) / SAMPLES - performance.now()))
  samples.push(await sample())
}
await load.stop()
await judge()
verdict.tell()

function draw(): Kind {
  let at = Math.random() * MIX.reduce((sum, { weight }) => sum + weight, 0)
  return MIX.find(({ weight }) => (at -= weight) < 0) ?? MIX[0]!
}

function outcomeOf({ status, code, isWhole, isEnded }: Seen): string {
  if (status === null) return 'left before the answer'
  if (status !== 200) return `${status} ${code}`
  if (isWhole) return 'whole'
  return isEnded ? 'ended with an error' : 'left or cut within the answer'
}

async function sample(): Promise<Sample> {
  const { memoryBytes } = await usedBy(gateway.pid)
  const descriptors = (await readdir(`/proc/${gateway.pid}/fd`)).length
  return { atMs: performance.now() - startMs, requests, memoryBytes, descriptors }
}

async function judge() {
  const kindRows = [...outcomes].map(([kind, each]) => [
    kind.name,
    String(each.length),
    tally(each),
  ])
  console.log(`\n${table(['traffic', 'requests', 'outcomes'], kindRows)}`)
  const sampleRows = samples
    .filter((_, at) => at % 6 === 5)
    .map(({ atMs, requests, memoryBytes, descriptors }) => [
      (atMs / 1000).toFixed(0),
      String(requests),
      megabytes(memoryBytes),
      String(descriptors),
    ])
  console.log(`\n${table(['seconds', 'requests', 'MiB', 'descriptors'], sampleRows)}`)

  verdict.hold('every answer is what it should be', surprises.length === 0, tally(surprises))

  const part = (from: number, to: number) => samples.slice(from * SAMPLES, to * SAMPLES)
  const before = part(WARM_UP, WARM_UP + LAST)
  const after = part(1 - LAST, 1)
  const [bytes, laterBytes] = [before, after].map((each) =>
    median(each.map(({ memoryBytes }) => memoryBytes)),
  ) as [number, number]
  verdict.hold(
    `memory is flat after the warm-up (+ ${100 * MEMORY_GROWTH} %)`,
    laterBytes <= bytes * (1 + MEMORY_GROWTH),
    `${megabytes(bytes)} MiB, then ${megabytes(laterBytes)}`,
  )
  const [open, laterOpen] = [before, after].map((each) =>
    median(each.map(({ descriptors }) => descriptors)),
  ) as [number, number]
  verdict.hold(
    `no descriptors leak (+ ${DESCRIPTOR_GROWTH})`,
    laterOpen <= open + DESCRIPTOR_GROWTH,
    `${open}, then ${laterOpen}`,
  )

  const reader = new LogReader(t, { connectionString: postgres.url })
  const missing = await reader.missingOf(ids, PATIENCE_MS)
  // Those who left before they had an id are in the log too, or their requests never came.
  const rows = await reader.ids()
  const counted = await reader.counted()
  verdict.hold(
    'every answer has its row',
    missing.length === 0,
    `${ids.length} ids, ${missing.length} missing`,
  )
  verdict.hold(
    'rows are as many as requests',
    rows.length === requests && counted === requests,
    `${requests} requests, ${rows.length} rows, hourly sums say ${counted}`,
  )
  for (const [what, metric] of [
    ['no exchange is left open', 'headrace_requests_in_flight'],
    ['no request is left in hand', 'headrace_admitted_in_hand'],
    ['nothing waits for PostgreSQL', 'headrace_exchange_log_pending'],
    ['no exchange was given up', 'headrace_exchange_log_dropped_total'],
  ] as const) {
    const value = await gateway.metric(metric)
    verdict.hold(what, value === 0, String(value))
  }
  const strange = [...gateway.errors].filter(
    ([message]) => !EXPECTED_ERRORS.some((expected) => expected.test(message)),
  )
  const told = [...gateway.errors].map(([message, count]) => `${count} × ${message}`)
  console.log(`\nErrors in its log:\n${told.map((line) => `  ${line}`).join('\n')}`)
  verdict.hold(
    "its log has no errors but the upstream's",
    strange.length === 0,
    strange.map(([message, count]) => `${count} × ${message}`).join(', ') || 'none',
  )
}
