// Shows that a limit is one limit, however many gateways there are: two whole gateways on one Redis and one PostgreSQL
// are offered more than twice of a key's 600 requests a minute, by several clients each, and admit 600 in each minute.
//
//   make limits-proof                         one minute
//   make limits-proof ARGS='--minutes 3'      three

import { setTimeout as sleep } from 'node:timers/promises'

import { table } from '../bench/table.ts'
import { LogReader } from './database.ts'
import { chat, startLoad } from './load.ts'
import { startPair } from './pair.ts'
import { readOptions, say, tally, Verdict } from './verdict.ts'
import type { Seen } from './load.ts'
import type { Replica } from './replica.ts'
import type { Lasting } from '../support/lasting.ts'

const LIMIT = 600
const TOLERANCE = 0.01
const MINUTE_MS = 60_000
/** of each gateway; they ask about 13 times a second there, together 2.5 times the limit */
const CLIENTS = 8
const PAUSE_MS = 580
const PATIENCE_MS = 20_000

const { minutes } = readOptions({ minutes: 1 })
const verdict = new Verdict()
await using undo = new AsyncDisposableStack()
const t: Lasting = { after: (stop) => undo.defer(stop) }

const { postgres, replicas } = await startPair(t)
const key = await replicas[0].makeKey('proof', { requests_per_minute: LIMIT })

say(`Two gateways on one Redis, ${2 * CLIENTS} clients, a limit of ${LIMIT} requests a minute.`)
const startMs = performance.now()
const seen: (Seen & { replica: Replica })[] = []
const loads = replicas.map((replica) =>
  startLoad({
    clients: CLIENTS,
    pauseMs: PAUSE_MS,
    origin: () => replica.url,
    ask: () => chat(key, Math.random() < 0.5),
    seen: (one) => void seen.push({ ...one, replica }),
  }),
)
await sleep(minutes * MINUTE_MS)
await Promise.all(loads.map((load) => load.stop()))

const rows = []
for (let minute = 0; minute < minutes; minute++) {
  const asked = seen.filter((one) => Math.floor((one.startMs - startMs) / MINUTE_MS) === minute)
  const admitted = asked.filter(({ isWhole }) => isWhole)
  const shares = replicas.map((each) => admitted.filter(({ replica }) => replica === each).length)
  rows.push([minute + 1, asked.length, ...shares, admitted.length].map(String))
  verdict.hold(
    `${LIMIT} requests ± ${100 * TOLERANCE} % are admitted in minute ${minute + 1}`,
    Math.abs(admitted.length - LIMIT) <= TOLERANCE * LIMIT,
    `${admitted.length} of ${asked.length}`,
  )
  verdict.hold(
    `more than twice of it is asked for in minute ${minute + 1}`,
    asked.length > 2 * LIMIT,
    String(asked.length),
  )
}
console.log(`\n${table(['minute', 'asked', 'by a', 'by b', 'together'], rows)}`)

const refused = seen.filter(({ isWhole }) => !isWhole)
verdict.hold(
  'whoever is refused is told that it is the limit',
  refused.every(({ status, code }) => status === 429 && code === 'rate_limit_exceeded'),
  tally(refused.map(({ status, code }) => `${status} ${code}`)),
)
const ids = seen.map(({ id }) => id ?? 'none')
const missing = await new LogReader(t, { connectionString: postgres.url }).missingOf(
  ids,
  PATIENCE_MS,
)
verdict.hold(
  'admitted or refused, each is in the log',
  missing.length === 0,
  `${ids.length - missing.length} of ${ids.length}`,
)
verdict.tell()
