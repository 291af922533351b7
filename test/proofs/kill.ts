// Shows that whoever has an answer finds it in the log, once, however the gateway or its database die: `kill -9` of the
// gateway at random moments under load, started again on the same data folder; then `kill -9` of its PostgreSQL.
//
//   make kill-proof                                            20 and 10 times
//   make kill-proof ARGS='--gateway-kills 3 --database-kills 2'

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { findEmbedded } from '../../gateway/db/embedded.ts'
import { clusterIn } from '../../gateway/db/embedded/cluster.ts'
import { readPostmaster } from '../../gateway/db/embedded/postmaster-file.ts'
import { LogReader } from './database.ts'
import { chat, startLoad } from './load.ts'
import { Replica } from './replica.ts'
import { startUpstream } from './upstream.ts'
import { readOptions, say, tally, Verdict } from './verdict.ts'
import type { Seen } from './load.ts'
import type { Lasting } from '../support/lasting.ts'

const CLIENTS = 12
const PAUSE_MS = 40
const SHORTEST_MS = 300
const LONGEST_MS = 1_500
const PATIENCE_MS = 60_000
const PLENTY = { requests_per_minute: 1_000_000, concurrent_requests: 1_000 }

const options = readOptions({ 'gateway-kills': 20, 'database-kills': 10 })
const verdict = new Verdict()
await using undo = new AsyncDisposableStack()
const t: Lasting = { after: (stop) => undo.defer(stop) }

const upstream = await startUpstream(t)
const gateway = await Replica.start(t, { name: 'a', upstreamUrl: upstream.url })
const key = await gateway.makeKey('proof', PLENTY)

await killUnderLoad('the gateway', options['gateway-kills'], async () => {
  await gateway.kill()
  await gateway.start()
})
await killUnderLoad('PostgreSQL', options['database-kills'], async () => {
  const before = await postmasterPid()
  if (before === null) throw new Error('PostgreSQL is not there to be killed.')
  process.kill(before, 'SIGKILL')
  // Another one, that takes connections: the gateway starts it again by itself.
  while ([before, null].includes(await postmasterPid())) await sleep(50)
})
verdict.tell()

async function killUnderLoad(what: string, times: number, kill: () => Promise<void>) {
  say(`${what} is killed ${times} times, under ${CLIENTS} clients.`)
  const seen: Seen[] = []
  const load = startLoad({
    clients: CLIENTS,
    pauseMs: PAUSE_MS,
    origin: () => gateway.url,
    ask: () => chat(key, Math.random() < 0.5),
    seen: (one) => void seen.push(one),
  })
  const kills: number[] = []
  for (let count = 1; count <= times; count++) {
    await sleep(SHORTEST_MS + Math.random() * (LONGEST_MS - SHORTEST_MS))
    kills.push(performance.now())
    await kill()
    const tookMs = performance.now() - kills.at(-1)!
    const ended = seen.filter(({ isEnded }) => isEnded).length
    say(`kill ${count}: back after ${tookMs.toFixed(0)} ms, ${ended} answers were read so far`)
  }
  await sleep(LONGEST_MS)
  await load.stop()
  await judge(what, seen, kills)
}

async function judge(what: string, seen: readonly Seen[], kills: readonly number[]) {
  const connection = await findEmbedded(gateway.dataDir)
  if (!connection) throw new Error('PostgreSQL is not there to be read.')
  await using done = new AsyncDisposableStack()
  const reader = new LogReader({ after: (stop) => done.defer(stop) }, connection)
  const ended = seen.filter(({ isEnded, id }) => isEnded && id !== null)
  const missing = await reader.missingOf(
    ended.map(({ id }) => id!),
    PATIENCE_MS,
  )
  for (const id of missing.slice(0, 10)) {
    const one = ended.find((each) => each.id === id)!
    const next = kills.find((killMs) => killMs >= one.startMs)
    const beforeMs =
      next === undefined ? 'no kill after it' : `${(next - one.endMs).toFixed(0)} ms before a kill`
    say(`  missing: ${id}, ${one.ask.name}, ${one.status}, read to its end ${beforeMs}`)
  }
  const rows = await reader.ids()
  const counted = await reader.counted()
  const answered = ended.filter(({ isWhole }) => isWhole).length
  const name = `under kills of ${what}`
  verdict.hold(`answers were read ${name}`, answered > 0, `${answered} of ${seen.length} whole`)
  verdict.hold(
    `every answer that was read to its end is in the log, ${name}`,
    missing.length === 0,
    `${ended.length} read, ${missing.length} missing`,
  )
  verdict.hold(
    `each of them once, ${name}`,
    new Set(rows).size === rows.length && counted === rows.length,
    `${rows.length} rows, ${rows.length - new Set(rows).size} twice, hourly sums say ${counted}`,
  )
  if (what === 'PostgreSQL') {
    const bad = seen.filter(({ isWhole }) => !isWhole)
    verdict.hold(
      `nobody notices, ${name}`,
      bad.length === 0,
      tally(bad.map(({ status, code }) => `${status ?? 'no answer'} ${code ?? 'not whole'}`)),
    )
  }
}

async function postmasterPid(): Promise<number | null> {
  const postmaster = await readPostmaster(clusterIn(join(gateway.dataDir, 'postgres')))
  return postmaster?.isReady ? postmaster.pid : null
}
