// Shows that a bad version is taken back by itself, by the guard that it is bad for, and a good one is promoted: a whole
// gateway over PostgreSQL and an upstream, whose versions answer late, slowly, not at all, with refusals, or what nobody
// likes; each kind in several runs, of which each has its own seed.
//
//   make canary-proof                        20 runs of each kind; takes about ten minutes
//   make canary-proof ARGS='--runs 3'        three

import type { TestContext } from 'node:test'

import { table } from '../bench/table.ts'
import { OpenAIUpstream } from '../../gateway/backends/upstream/openai.ts'
import { createPool } from '../../gateway/db/pool.ts'
import { recordLog } from '../support/logger.ts'
import { randomOf } from '../support/trial.ts'
import { startTrialGateway } from '../support/trial-gateway.ts'
import { ProofPostgres } from './database.ts'
import { mannerOf, MANNERS, startTrialUpstream } from './trial-upstream.ts'
import { readOptions, say, tally, Verdict } from './verdict.ts'
import type { Lasting } from '../support/lasting.ts'

const CLIENTS = 8
const RATED = 0.6
const PATIENCE_MS = 60_000
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
  failing: ['errorRate'],
  dead: ['errorRate'],
  refusing: ['refusalRate'],
  late: ['timeToFirstToken', 'total'],
  slow: ['total'],
  disliked: ['feedback'],
}

const { runs } = readOptions({ runs: 20 })
const verdict = new Verdict()
await using undo = new AsyncDisposableStack()
const t: Lasting = { after: (stop) => undo.defer(stop) }

const upstream = await startTrialUpstream(t)
const database = await ProofPostgres.start(t)
const pool = createPool({ connectionString: database.url }, recordLog().logger)
t.after(() => pool.end())
const backend = new OpenAIUpstream({ baseUrl: `${upstream.url}/v1`, apiKey: 'sk-proof' })
const gateway = await startTrialGateway(
  t as TestContext,
  { pool: () => Promise.resolve(pool) },
  { upstream: backend, intervalMs: 100 },
)

interface Run {
  /** what became of the canary */
  action: string
  guards: string[]
  requests: number
  failed: number
  seconds: number
}

async function run(kind: string, seed: number): Promise<Run> {
  const model = `${kind}-${seed}`
  const random = randomOf(seed * 1_000 + 7)
  const path = `/admin/models/${model}/deployments`
  const say = async (body: object) => {
    const { status, body: told } = await gateway.ask('POST', path, body)
    if (status !== 200) throw new Error(JSON.stringify(told))
  }
  await say({ action: 'deploy', version: `${model}@1` })
  const share = { share: 0.3, steps: [0.6, 1], bake_seconds: 2 }
  await say({ action: 'canary', version: `${model}@2`, ...share, guards: GUARDS })
  // Each with a key of its own: what a caller may say of answers in a minute is bounded.
  const { key } = await gateway.makeKey({ name: model })
  const startMs = performance.now()
  let [requests, failed] = [0, 0]
  const over = new AbortController()
  const client = async () => {
    while (!over.signal.aborted) {
      const content = `Question ${++requests}`
      const messages = [{ role: 'user', content }]
      const { status, id, version } = await gateway.chat({ model, stream: true, messages }, key)
      if (status !== 200) failed++
      if (status !== 200 || random() >= RATED) continue
      const thumb = random() < mannerOf(version ?? '').liked ? 'up' : 'down'
      await gateway.ask('POST', `/v1/exchanges/${id}/feedback`, { thumb }, key)
    }
  }
  const watch = async () => {
    const deadline = performance.now() + PATIENCE_MS
    while (performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 50))
      const { body } = await gateway.ask('GET', `/admin/models/${model}/live`)
      if ((body['state'] as { canary: unknown }).canary === null) return String(body['action'])
    }
    return 'still on trial'
  }
  const watching = watch().finally(() => over.abort())
  await Promise.all([watching, ...Array.from({ length: CLIENTS }, client)])
  const guards = [...gateway.canaries.rolledBack].filter((each) => each.model === model)
  return {
    action: await watching,
    guards: guards.map(({ guard }) => guard),
    requests,
    failed,
    seconds: (performance.now() - startMs) / 1000,
  }
}

const rows: string[][] = []
for (const kind of Object.keys(MANNERS)) {
  const found: Run[] = []
  for (let seed = 1; seed <= runs; seed++) found.push(await run(kind, seed))
  const guards = found.flatMap((each) => each.guards)
  const median = (of: (each: Run) => number) =>
    found.map(of).toSorted((a, b) => a - b)[Math.floor(found.length / 2)] ?? 0
  rows.push([
    kind,
    tally(found.map(({ action }) => action)),
    tally(guards),
    String(median(({ requests }) => requests)),
    median(({ seconds }) => seconds).toFixed(1),
  ])
  say(`${kind}: ${tally(found.map(({ action }) => action))}`)
  const wanted = kind === 'good' ? 'promote' : 'rollback'
  const asWanted = found.filter(({ action }) => action === wanted).length
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
    const failed = found.reduce((sum, each) => sum + each.failed, 0)
    const requests = found.reduce((sum, each) => sum + each.requests, 0)
    const share = failed / requests
    verdict.hold(
      '… and callers have live answers: at most 2 % fail',
      share < 0.02,
      `${failed} failed of ${requests}`,
    )
  }
}
console.log(`\n${table(['kind', 'it was', 'by', 'requests', 'seconds'], rows)}`)
verdict.tell()
