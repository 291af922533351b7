// Shows that a bad version is taken back by itself, by the guard that it is bad for, and a good one is promoted: a whole
// gateway, a process of its own over PostgreSQL, with versions of the catalog that an upstream answers late, slowly, not at
// all, with refusals, or as nobody likes it; each kind in several runs, of which each has its own model and its own seed.
//
//   make canary-proof                        20 runs of each kind; takes about five minutes
//   make canary-proof ARGS='--runs 3'        three
//
// Runs are made side by side, a few of each kind: a trial waits for its gateway's looks more than it computes.

import { setTimeout as sleep } from 'node:timers/promises'

import { table } from '../bench/table.ts'
import { randomOf } from '../support/trial.ts'
import { ProofPostgres } from './database.ts'
import { Replica } from './replica.ts'
import { mannerOf, MANNERS, startTrialUpstream } from './trial-upstream.ts'
import { readOptions, say, tally, Verdict } from './verdict.ts'
import type { Lasting } from '../support/lasting.ts'

/** trials at once; with more of them what is measured is how long the machine's cores are waited for */
const AT_ONCE = 7
const CLIENTS = 5
/** between two questions of a client */
const PAUSE_MS = 200
const RATED = 0.6
const PATIENCE_MS = 120_000
const LOOK_MS = 250
const GUARDS = {
  min_sample: 50,
  error_rate: 0.05,
  refusal_rate: 0.1,
  time_to_first_token: 2,
  total: 2,
  feedback: 0.2,
}
/** A version that is late is slow as well: whichever guard sees it first. */
const GUARDS_OF: Record<string, string[]> = {
  failing: ['error_rate'],
  dead: ['error_rate'],
  refusing: ['refusal_rate'],
  late: ['time_to_first_token', 'total'],
  slow: ['total'],
  disliked: ['feedback'],
}

const { runs } = readOptions({ runs: 20 })
const verdict = new Verdict()
await using undo = new AsyncDisposableStack()
const t: Lasting = { after: (stop) => undo.defer(stop) }

const upstream = await startTrialUpstream(t)
const database = await ProofPostgres.start(t)
const gateway = await Replica.start(t, {
  name: 'a',
  upstreamUrl: upstream.url,
  databaseUrl: database.url,
})

interface Run {
  /** what became of the canary */
  action: string
  guards: string[]
  requests: number
  failed: number
  seconds: number
}

interface Answered {
  status: number
  exchange: string | null
  version: string | null
}

async function ask(method: string, path: string, body?: object): Promise<Record<string, unknown>> {
  const { status, body: told } = await gateway.ask(method, path, body)
  if (status >= 300) throw new Error(`${method} ${path}: ${JSON.stringify(told)}`)
  return told
}

async function post(path: string, key: string, body: object): Promise<Answered> {
  const response = await fetch(gateway.url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  await response.text()
  return {
    status: response.status,
    exchange: response.headers.get('x-request-id'),
    version: response.headers.get('x-headrace-version'),
  }
}

/** A model of the catalog: version 1 is live, version 2 is put on trial. */
async function begin(model: string): Promise<void> {
  await ask('POST', '/admin/catalog/models', { name: model })
  for (const number of [1, 2]) {
    const version = { upstream: 'compatible', asks: `${model}@${number}` }
    await ask('POST', `/admin/catalog/models/${model}/versions`, version)
  }
  const path = `/admin/models/${model}/deployments`
  await ask('POST', path, { action: 'deploy', version: `${model}@1` })
  const share = { share: 0.5, steps: [0.8, 1], bake_seconds: 5 }
  await ask('POST', path, { action: 'canary', version: `${model}@2`, ...share, guards: GUARDS })
}

/** Asks and rates until it is told to end. */
async function converse(model: string, key: string, random: () => number, over: AbortSignal) {
  const counted = { requests: 0, failed: 0 }
  while (!over.aborted) {
    const messages = [{ role: 'user', content: `Question ${++counted.requests} of ${random()}` }]
    const question = { model, stream: true, messages }
    const { status, exchange, version } = await post('/v1/chat/completions', key, question)
    if (status !== 200) counted.failed++
    else if (random() < RATED) {
      const thumb = random() < mannerOf(version ?? '').liked ? 'up' : 'down'
      await post(`/v1/exchanges/${exchange}/feedback`, key, { thumb })
    }
    await sleep(PAUSE_MS * (0.5 + random()), undefined, { signal: over }).catch(() => {})
  }
  return counted
}

/** @returns what ended the trial */
async function watch(model: string): Promise<string> {
  const deadline = performance.now() + PATIENCE_MS
  while (performance.now() < deadline) {
    await sleep(LOOK_MS)
    const { state, action } = await ask('GET', `/admin/models/${model}/live`)
    if ((state as { canary: unknown }).canary === null) return String(action)
  }
  return 'still on trial'
}

async function run(kind: string, seed: number): Promise<Run> {
  const model = `${kind}-${seed}`
  const random = randomOf(seed * 1_000 + 7)
  await begin(model)
  // Each with a key of its own: what a caller may say of answers in a minute is bounded.
  const key = await gateway.makeKey(model, {})
  const startMs = performance.now()
  const over = new AbortController()
  const watching = watch(model).finally(() => over.abort())
  const clients = Array.from({ length: CLIENTS }, () => converse(model, key, random, over.signal))
  const [action, ...counted] = await Promise.all([watching, ...clients])
  const { guards } = await ask('GET', `/admin/models/${model}/canary`)
  return {
    action,
    guards: (guards as { guard: string; breached: boolean }[])
      .filter(({ breached }) => breached)
      .map(({ guard }) => guard),
    requests: counted.reduce((sum, { requests }) => sum + requests, 0),
    failed: counted.reduce((sum, { failed }) => sum + failed, 0),
    seconds: (performance.now() - startMs) / 1000,
  }
}

const kinds = Object.keys(MANNERS)
const found = new Map<string, Run[]>(kinds.map((kind) => [kind, []]))
const due = Array.from({ length: runs }, (_, index) =>
  kinds.map((kind) => [kind, index + 1]),
).flat()
const work = async () => {
  for (let next = due.shift(); next; next = due.shift()) {
    const [kind, seed] = next as [string, number]
    const ended = await run(kind, seed)
    found.get(kind)!.push(ended)
    const { action, guards, seconds } = ended
    say(`${kind}-${seed}: ${[action, ...guards].join(', ')} after ${seconds.toFixed(1)} s`)
  }
}
await Promise.all(Array.from({ length: AT_ONCE }, work))

const rows: string[][] = []
for (const [kind, ended] of found) {
  const guards = ended.flatMap((each) => each.guards)
  const median = (of: (each: Run) => number) =>
    ended.map(of).toSorted((a, b) => a - b)[Math.floor(ended.length / 2)] ?? 0
  rows.push([
    kind,
    tally(ended.map(({ action }) => action)),
    tally(guards),
    String(median(({ requests }) => requests)),
    median(({ seconds }) => seconds).toFixed(1),
  ])
  const wanted = kind === 'good' ? 'promote' : 'rollback'
  const asWanted = ended.filter(({ action }) => action === wanted).length
  verdict.hold(
    kind === 'good' ? 'a good version is promoted' : `a version that is ${kind} is taken back`,
    asWanted === runs,
    `${asWanted} of ${runs}`,
  )
  verdict.hold(
    `… by ${GUARDS_OF[kind]?.join(' or ') ?? 'no guard'}`,
    guards.every((guard) => GUARDS_OF[kind]?.includes(guard)),
    tally(guards),
  )
  if (kind === 'failing' || kind === 'dead') {
    const failed = ended.reduce((sum, each) => sum + each.failed, 0)
    const requests = ended.reduce((sum, each) => sum + each.requests, 0)
    verdict.hold(
      '… and callers have live answers: at most 2 % fail',
      failed / requests < 0.02,
      `${failed} failed of ${requests}`,
    )
  }
}
console.log(`\n${table(['kind', 'it was', 'by', 'requests', 'seconds'], rows)}`)
verdict.tell()
