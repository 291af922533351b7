// What the ledger wants resident, and the end of what it wants no longer.
//
// What is live, on trial, shadowed or a fallback is wanted, and so is what is being switched to. A version that a
// deployment displaced is kept for a while, so that going back to it takes no load; then it is unloaded as soon as it
// has nothing to do: what answers is never cut. Versions that were never deployed, such as pinned ones, are others'
// business.
//
// Knows: the ledger, which versions are loaded. Does not know: memory, how an engine ends.

import { findDisplacements } from '../db/deployments.ts'
import { versionsOf } from './next-state.ts'
import type { Displacement } from '../db/deployments.ts'
import type { Pool } from '../db/pool.ts'
import type { Logger } from '../logger.ts'
import type { FaultPoint } from './fault-point.ts'
import type { LiveDeployments } from './live.ts'
import type { Runtime } from '../../runtime/client.ts'
import type { EngineStats } from '../../runtime/protocol.ts'

export interface WantedVersion {
  version: string
  /** null: for as long as it is in a live state */
  until: Date | null
}

export interface ResidencyOptions {
  pool: Pool
  live: LiveDeployments
  /** null: there is none, and nothing is resident */
  runtime: Pick<Runtime, 'stats' | 'unload'> | null
  /** how long a displaced version is kept loaded */
  keepMs: number
  reach: (point: FaultPoint) => void
  logger: Logger
  now?: () => number
}

export class Residency {
  readonly #options: ResidencyOptions
  #kept: WantedVersion[] = []
  /** displacements that were seen to their end, so that who is loaded again by a pinned request may stay */
  readonly #done = new Map<string, number>()
  /** what the ledger said when `#readAt` was its newest entry; null: never displaced, or wanted again */
  readonly #read = new Map<string, Displacement | null>()
  #readAt = 0
  /** those that could not be unloaded, which was told once */
  readonly #refused = new Set<string>()

  constructor(options: ResidencyOptions) {
    this.#options = options
  }

  /** By all models' live states, switches under way, and those that are kept to go back to. */
  wantedVersions(): WantedVersion[] {
    const live = this.#wanted()
    return [
      ...[...live].map((version) => ({ version, until: null })),
      ...this.#kept.filter(({ version }) => !live.has(version)),
    ]
  }

  isWanted(version: string): boolean {
    return this.#wanted().has(version)
  }

  /** Unloads what has been displaced for long enough and is idle. */
  async look(): Promise<void> {
    const { live, runtime, keepMs, reach, logger, now = Date.now } = this.#options
    if (!runtime) return
    const { engines } = await runtime.stats()
    const loaded = Map.groupBy(engines, ({ version }) => version)
    const adapters = new Set(engines.flatMap((engine) => engine.adapters ?? []))
    // With a base its adapters would go: they go first, by themselves.
    const alone = [...loaded.keys()].filter((version) => !hasAdapters(loaded.get(version)))
    const idle = [...alone, ...adapters].filter((version) => !this.isWanted(version))
    if (idle.length === 0) {
      this.#kept = []
      return
    }
    const kept: WantedVersion[] = []
    for (const { version, at, by } of await this.#displacementsOf(idle)) {
      if (this.#done.get(version) === by) continue
      const until = new Date(at.getTime() + keepMs)
      // What runs through an adapter is served to its end; its figures are the engine's.
      const isBusy = loaded.get(version)?.some(({ running, waiting }) => running + waiting > 0)
      if (until.getTime() > now() || isBusy) {
        kept.push({ version, until })
        continue
      }
      // A switch is in the tables before it loads anything: what it wants stays.
      await live.refresh()
      if (this.isWanted(version)) continue
      try {
        await runtime.unload(version)
      } catch (error) {
        if (this.#refused.has(version)) continue
        this.#refused.add(version)
        const reason = error instanceof Error ? error.message : String(error)
        logger.warn({ version, reason }, `${version} could not be unloaded; it is tried again`)
        continue
      }
      this.#refused.delete(version)
      this.#done.set(version, by)
      reach('after-drain')
      logger.info({ version }, `${version} is unloaded: nothing that is live wants it any more`)
    }
    this.#kept = kept
  }

  /** A look is made every two seconds, and what the ledger says of the past changes with its entries only. */
  async #displacementsOf(versions: readonly string[]): Promise<Displacement[]> {
    const { pool, live } = this.#options
    if (this.#readAt !== live.newest) this.#read.clear()
    this.#readAt = live.newest
    const unread = versions.filter((version) => !this.#read.has(version))
    if (unread.length > 0) {
      const found = await findDisplacements(pool, unread)
      for (const version of unread) {
        this.#read.set(version, found.find((each) => each.version === version) ?? null)
      }
    }
    return versions.flatMap((version) => this.#read.get(version) ?? [])
  }

  #wanted(): Set<string> {
    const { live } = this.#options
    const states = [...live.list(), ...live.attempts.map(({ draft }) => draft)]
    return new Set(states.flatMap(({ state }) => versionsOf(state)))
  }
}

function hasAdapters(engines: EngineStats[] = []): boolean {
  return engines.some(({ adapters = [] }) => adapters.length > 0)
}
