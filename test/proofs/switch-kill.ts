// Shows that a switch is whole or was not: `kill -9` of the gateway at every step of one, named in the code, and of the
// engine that it loads. After each the gateway is started again, and the ledger, what is loaded, and who answers agree.
//
//   make switch-kill-proof

import { setTimeout as sleep } from 'node:timers/promises'

import { FAULT_POINTS } from '../../gateway/deployments/fault-point.ts'
import { ProofPostgres } from './database.ts'
import { ProofLibrary } from './library.ts'
import { Replica } from './replica.ts'
import { say, Verdict } from './verdict.ts'
import type { FaultPoint } from '../../gateway/deployments/fault-point.ts'
import type { Lasting } from '../support/lasting.ts'

/** a switch whose gateway is gone is closed after ten seconds */
const PATIENCE_MS = 25_000
/** where the old version makes room first */
const OF_REPLACING: FaultPoint[] = ['after-hold', 'after-unload']
/** those behind which the entry is written */
const COMMITTED: FaultPoint[] = ['after-commit', 'after-refresh', 'after-drain']

const verdict = new Verdict()
await using undo = new AsyncDisposableStack()
const t: Lasting = { after: (stop) => undo.defer(stop) }

const database = await ProofPostgres.start(t)
const library = await ProofLibrary.start(t)
const first = await library.add('guide', { seed: 1 })
const second = await library.add('guide', { seed: 2 })
await library.inflate(second)
const third = await library.add('guide', { seed: 3 })
const gateway = await Replica.start(t, {
  name: 'a',
  library,
  databaseUrl: database.url,
  env: { HEADRACE_DEPLOYMENT_KEEP_S: '5' },
})

for (const point of FAULT_POINTS) {
  const before = await settle(first)
  await gateway.kill()
  await gateway.start({ HEADRACE_FAULT_POINT: point })
  const replaces = OF_REPLACING.includes(point)
  const version = replaces ? second : third
  const body = { action: 'deploy', version, replace: replaces }
  say(`${point}: ${version} is deployed, and the gateway dies there`)
  // What the gateway that is gone had under way is in the way until it is closed.
  await until(async () => {
    const asked = gateway.ask('POST', '/admin/models/guide/deployments', body)
    return (await asked.catch(() => null))?.status !== 409
  })
  await gateway.gone()
  await gateway.start()
  await judge(`after a kill at ${point}`, COMMITTED.includes(point) ? version : first, before)
}

const before = await settle(first)
say('the engine that is loaded is killed')
const deploying = gateway.ask('POST', '/admin/models/guide/deployments', {
  action: 'deploy',
  version: third,
})
await killLoading(third)
const { status } = await deploying
say(`the deployment was answered with ${status}`)
await judge('after a kill of the engine', status === 200 ? third : first, before)
verdict.tell()

/** Has a version live, and the others gone. @returns the number that is live */
async function settle(version: string): Promise<number> {
  // The first to ask has the newest adopted.
  await ask()
  await gateway.ask('POST', '/admin/models/guide/deployments', { action: 'deploy', version })
  await ask()
  const isSettled = await until(async () => (await library.loaded()).join() === version)
  if (!isSettled) throw new Error(`${version} is not alone: ${(await library.loaded()).join(' ')}`)
  return Number((await live())['number'])
}

async function judge(when: string, expected: string, before: number) {
  const agrees = await until(async () => {
    const { state, number } = await live()
    const target = (state as { targets: { version: string }[] }).targets[0]?.version
    const answered = await ask()
    return (
      target === expected &&
      answered === expected &&
      (await library.loaded()).join() === expected &&
      (Number(number) > before || expected === first)
    )
  })
  const { state, number } = await live()
  const found = [
    `live: number ${String(number)}, ${JSON.stringify((state as { targets: unknown }).targets)}`,
    `answers: ${await ask()}`,
    `loaded: ${(await library.loaded()).join(' ')}`,
  ]
  const short = agrees
    ? `${expected} is live, answers, and is all that is loaded`
    : found.join('; ')
  verdict.hold(`ledger, residency and traffic agree ${when}`, agrees, short)
}

async function live(): Promise<Record<string, unknown>> {
  return (await gateway.ask('GET', '/admin/models/guide/live')).body
}

/** @returns the version that answered */
async function ask(): Promise<string | null> {
  const messages = [{ role: 'user', content: 'a b c' }]
  const body = { model: 'guide', max_tokens: 2, messages }
  return gateway.versionOf('/v1/chat/completions', body)
}

async function killLoading(version: string): Promise<void> {
  await until(async () => {
    const { engines } = await library.runtime.stats()
    const engine = engines.find((one) => one.version === version)
    if (!engine?.pid) return false
    process.kill(engine.pid, 'SIGKILL')
    return true
  })
}

async function until(isSo: () => Promise<boolean>): Promise<boolean> {
  const deadline = performance.now() + PATIENCE_MS
  while (performance.now() < deadline) {
    if (await isSo().catch(() => false)) return true
    await sleep(10)
  }
  return false
}
