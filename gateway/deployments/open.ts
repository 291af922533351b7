// Deployments put to work: the ledger followed, what is new adopted, what is over cleared away.

import { Adoption } from './adoption.ts'
import { createFaultPoints } from './fault-point.ts'
import { Ledger } from './ledger.ts'
import { LiveDeployments } from './live.ts'
import { Loading } from './loading.ts'
import { Residency } from './residency.ts'
import { Switchboard } from './switchboard.ts'
import type { Pool } from '../db/pool.ts'
import type { Logger } from '../logger.ts'
import type { LedgerOptions } from './ledger.ts'
import type { Room } from './room.ts'
import type { Gate } from './switchboard.ts'
import type { VersionSource } from './version-source.ts'
import type { Runtime } from '../../runtime/client.ts'

export interface DeploymentsOptions {
  pool: Pool
  versions: VersionSource
  runtime: Pick<Runtime, 'load' | 'unload' | 'stats'> | null
  isDeclared: (model: string) => boolean
  announce?: LedgerOptions['announce']
  hold?: LedgerOptions['hold']
  gates?: Gate[]
  /** how long a displaced version is kept loaded */
  keepMs: number
  /** absent: there is always some */
  room?: Room
  /** where the process is to die */
  faultPoint?: string | null
  logger: Logger
  tickMs?: number
  pollMs?: number
}

export interface Deployments {
  live: LiveDeployments
  ledger: Ledger
  switchboard: Switchboard
  residency: Residency
  adoption: Adoption
  /** Once everything it asks about is there. */
  start(): void
  close(): Promise<void>
}

/** of what nobody waits for */
const TICK_MS = 2_000

export async function openDeployments(options: DeploymentsOptions): Promise<Deployments> {
  const { pool, runtime, logger, announce = async () => {} } = options
  const live = await LiveDeployments.open(options)
  const ledger = new Ledger({ pool, announce, hold: options.hold })
  const adoption = new Adoption({ ...options, ledger, live })
  const reach = createFaultPoints(options.faultPoint ?? null)
  const residency = new Residency({ ...options, live, reach })
  const room = options.room ?? (async () => null)
  const loading = new Loading({ runtime, live, residency, room, reach, logger })
  const switchboard = new Switchboard({ ...options, ledger, live, loading, reach })

  const closeLost = async () => {
    for (const { model, number, state } of await ledger.closeLost()) {
      logger.warn({ model, number }, `a deployment of ${model} was left in the middle; it failed`)
      await live.refresh()
      await loading.drop(state)
    }
  }
  let stop = async () => {}
  const start = () => {
    const works = [() => adoption.look(), closeLost, () => residency.look()]
    stop = everyTick(options.tickMs ?? TICK_MS, works)
  }
  return {
    start,
    live,
    ledger,
    switchboard,
    residency,
    adoption,
    async close() {
      await stop()
      await live.close()
    },
  }
}

/** One after the other, again and again; what fails is tried again, and who follows the ledger says why it can't be. */
function everyTick(ms: number, works: (() => Promise<void>)[]): () => Promise<void> {
  let isStopped = false
  let timer: NodeJS.Timeout | null = null
  const turn = async () => {
    for (const work of works) if (!isStopped) await work().catch(() => {})
    if (!isStopped) timer = setTimeout(next, ms).unref()
  }
  let turning = turn()
  const next = () => void (turning = turn())
  return async () => {
    isStopped = true
    if (timer) clearTimeout(timer)
    await turning
  }
}
