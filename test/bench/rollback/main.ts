// Measures what a change of versions costs those who are being answered: 16 clients stream without a pause, over two
// gateways, while a version is deployed, rolled back, tried out in all steps, promoted, and rolled back cold.
//
//   make bench-rollback
//   make bench-rollback ARGS='--clients 32 --step-seconds 4'
//
// Failed and cut requests are counted; each answer has to name its version and to be that version's word for word. How
// long the old version goes on to get new requests is counted from the call.

import { setTimeout as sleep } from 'node:timers/promises'

import { ProofPostgres } from '../../proofs/database.ts'
import { ProofLibrary } from '../../proofs/library.ts'
import { ADMIN_KEY, Replica } from '../../proofs/replica.ts'
import { readOptions, say, tally, Verdict } from '../../proofs/verdict.ts'
import { TINY } from '../../support/random-checkpoint.ts'
import { table } from '../table.ts'
import { ask, Clients } from './clients.ts'
import type { Lasting } from '../../support/lasting.ts'

/** What one change was like, for those who asked. */
interface Change {
  what: string
  /** until the call was answered */
  callMs: number
  /** from the call to the last new request of the version that goes; null: none does */
  lastOldMs: number | null
  /** of the requests that began after the call was answered */
  shares: string
}

const RESIDENT_BAR_MS = 1_000
const COLD_BAR_MS = 2_000
const KEEP_S = 5
/** every replica has followed by then */
const CONVERGED_MS = 2_000
const PATIENCE_MS = 30_000
/** enough for an answer to be under way when its version goes */
const TOKENS = 96

const options = readOptions({ clients: 16, 'step-seconds': 3 })
const stepMs = options['step-seconds'] * 1000
const verdict = new Verdict()
await using undo = new AsyncDisposableStack()
const t: Lasting = { after: (stop) => undo.defer(stop) }

const database = await ProofPostgres.start(t)
const library = await ProofLibrary.start(t, options.clients)
const architecture = { ...TINY, layers: 6, hiddenSize: 128, intermediateSize: 256 }
const first = await library.add('guide', { seed: 1, architecture })
const second = await library.add('guide', { seed: 2, architecture })
const shared = {
  library,
  databaseUrl: database.url,
  env: { HEADRACE_DEPLOYMENT_KEEP_S: String(KEEP_S) },
}
const gateways = [
  await Replica.start(t, { name: 'a', ...shared }),
  await Replica.start(t, { name: 'b', ...shared }),
]
const [gateway] = gateways as [Replica]
const body = {
  max_tokens: TOKENS,
  messages: [{ role: 'user', content: 'a b c d e f g h' }],
}

// What each version says, asked by its name; and the first one live.
const words = new Map<string, string>()
for (const version of [first, second]) {
  words.set(version, (await ask(gateway.url, ADMIN_KEY, { ...body, model: version })).text)
}
await ask(gateway.url, ADMIN_KEY, { ...body, model: 'guide' })
await post('deployments', { action: 'deploy', version: first })
await library.runtime.unload(second)

say(`${options.clients} clients stream from ${first}, over ${gateways.length} gateways.`)
const clients = new Clients({
  count: options.clients,
  urls: gateways.map(({ url }) => url),
  key: ADMIN_KEY,
  body: { ...body, model: 'guide' },
})
await sleep(stepMs)

const changes: Change[] = []
const deploy = { action: 'deploy', version: second }
await change('deploy, cold', first, 'deployments', deploy)
const resident = await change('rollback, resident', second, 'rollback', {})
await change('deploy, resident', first, 'deployments', deploy)
await change('rollback', second, 'rollback', {})
await change('canary 5 %', null, 'deployments', { action: 'canary', version: second })
await change('canary 25 %', null, 'deployments', { action: 'step' })
await change('canary 50 %', null, 'deployments', { action: 'step' })
await change('promote', first, 'deployments', { action: 'step' })
say(`${first} is unloaded after ${KEEP_S} s.`)
const deadline = performance.now() + PATIENCE_MS
while ((await library.loaded()).includes(first) && performance.now() < deadline) await sleep(100)
const isCold = !(await library.loaded()).includes(first)
const cold = await change('rollback, cold', second, 'rollback', {})
const { engines } = await library.runtime.stats()
const loadMs = engines.find(({ version }) => version === first)?.loadMs ?? 0
await clients.stop()

console.log(
  `\n${table(
    ['change', 'call ms', 'last new request on the old one, ms', 'who answered from then on'],
    changes.map(({ what, callMs, lastOldMs, shares }) => [
      what,
      callMs.toFixed(0),
      lastOldMs === null ? '–' : lastOldMs.toFixed(0),
      shares,
    ]),
  )}`,
)
judge()

async function change(
  what: string,
  old: string | null,
  path: string,
  asked: object,
): Promise<Change> {
  const callMs = performance.now()
  await post(path, asked)
  const answeredMs = performance.now()
  await sleep(Math.max(stepMs, CONVERGED_MS))
  const since = clients.answers.filter(({ startMs }) => startMs >= callMs)
  const starts = since.filter(({ version }) => version === old).map(({ startMs }) => startMs)
  const after = since.filter(({ startMs }) => startMs >= answeredMs)
  const seen: Change = {
    what,
    callMs: answeredMs - callMs,
    lastOldMs: old === null ? null : Math.max(0, ...starts.map((startMs) => startMs - callMs)),
    shares: tally(after.map(({ version }) => version ?? 'nobody')),
  }
  changes.push(seen)
  const last =
    seen.lastOldMs === null
      ? ''
      : `, last new request on ${old} after ${seen.lastOldMs.toFixed(0)} ms`
  say(`${what}: answered after ${seen.callMs.toFixed(0)} ms${last}; ${seen.shares}`)
  return seen
}

async function post(path: string, asked: object): Promise<void> {
  const { status, body: told } = await gateway.ask('POST', `/admin/models/guide/${path}`, asked)
  if (status !== 200)
    throw new Error(`${path} was answered with ${status}: ${JSON.stringify(told)}`)
}

function judge(): void {
  const { answers } = clients
  const failed = answers.filter(({ status }) => status !== 200)
  const cut = answers.filter(({ status, isWhole }) => status === 200 && !isWhole)
  const unnamed = answers.filter(({ version }) => version === null || !words.has(version))
  const mixed = answers.filter(({ version, text }) => version && words.get(version) !== text)
  const isDistinct = words.get(first) !== words.get(second)
  verdict.hold('no request fails', failed.length === 0, `${failed.length} of ${answers.length}`)
  verdict.hold('no answer is cut', cut.length === 0, `${cut.length} of ${answers.length}`)
  verdict.hold('every answer names its version', unnamed.length === 0, `${unnamed.length} do not`)
  verdict.hold(
    'every answer is its version’s word for word',
    mixed.length === 0 && isDistinct,
    `${mixed.length} are not`,
  )
  const { lastOldMs: residentMs } = resident
  verdict.hold(
    `a resident rollback is over within ${RESIDENT_BAR_MS} ms`,
    residentMs !== null && residentMs < RESIDENT_BAR_MS,
    `${residentMs?.toFixed(0)} ms`,
  )
  const { lastOldMs: coldMs } = cold
  verdict.hold(
    `a cold one within its load and ${COLD_BAR_MS} ms`,
    isCold && coldMs !== null && coldMs < loadMs + COLD_BAR_MS,
    `${coldMs?.toFixed(0)} ms, of which ${loadMs.toFixed(0)} are the load`,
  )
  verdict.tell()
}
