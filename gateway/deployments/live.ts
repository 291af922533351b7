// What is live of every model, and which models' requests wait for a switch: known to every replica, in memory.
//
// PostgreSQL calls when an entry is written, and is asked once a second besides: calls get lost. While it is away what
// was known goes on. Ids of entries are in the order of commits, so that what came after the last one is all that is new;
// unless that one has gone, as where a standby takes over that had not followed to the end: then everything is.
//
// Knows: the ledger's tables. Does not know: what is made of a state, how an entry comes to be.

import { Follower } from '../db/follower.ts'
import { listAttempts } from '../db/deployment-attempts.ts'
import { DEPLOYMENTS_CHANNEL, listLiveSince, readNewestDeployment } from '../db/deployments.ts'
import type { Attempt } from '../db/deployment-attempts.ts'
import type { Deployment } from '../db/deployments.ts'
import type { Pool } from '../db/pool.ts'
import type { Logger } from '../logger.ts'

/** All replicas follow within two seconds, also where calls are lost; a look costs the ends of two small indexes. */
const POLL_MS = 1_000
/** whoever holds requests renews it every second; where that can't be seen any more, nobody waits on */
const HELD_UNSEEN_MS = 10_000

export interface LiveDeploymentsOptions {
  pool: Pool
  logger: Logger
  pollMs?: number
  heldUnseenMs?: number
}

export class LiveDeployments {
  readonly #options: LiveDeploymentsOptions
  readonly #follower: Follower
  readonly #live = new Map<string, Deployment>()
  #attempts: Attempt[] = []
  readonly #waiting = new Set<() => void>()
  #newest = 0
  #isReachable = false
  #hasRead = false
  #readMs = 0

  private constructor(options: LiveDeploymentsOptions) {
    this.#options = options
    const { pool, pollMs = POLL_MS } = options
    this.#follower = new Follower({
      pool,
      channel: DEPLOYMENTS_CHANNEL,
      pollMs,
      read: () => this.#read(),
    })
  }

  /** With what the tables say now, or nothing until they can be read. */
  static async open(options: LiveDeploymentsOptions): Promise<LiveDeployments> {
    const live = new LiveDeployments(options)
    await live.#follower.start()
    return live
  }

  find(model: string): Deployment | null {
    return this.#live.get(model) ?? null
  }

  list(): Deployment[] {
    return [...this.#live.values()]
  }

  /** id of the newest entry that was seen, a failed one too; 0: there is none */
  get newest(): number {
    return this.#newest
  }

  /** Switches under way, for whoever decides what is to be resident. */
  get attempts(): readonly Attempt[] {
    return this.#attempts
  }

  /**
   * Its requests have to wait: what answered it makes room for what will. Nobody waits for a switch that was begun upon
   * something else than what is live: a rollback has overtaken it, and it will be refused.
   */
  isHeld(model: string): boolean {
    const live = this.#live.get(model)?.number ?? null
    return this.#attempts.some(
      ({ draft, holds }) => holds && draft.model === model && draft.basedOn === live,
    )
  }

  /** @returns whether it is held no longer */
  async whenReleased(model: string, timeoutMs: number): Promise<boolean> {
    const deadline = performance.now() + timeoutMs
    while (this.isHeld(model)) {
      const leftMs = deadline - performance.now()
      if (leftMs <= 0) return false
      const { promise, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, leftMs)
      this.#waiting.add(resolve)
      await promise
      this.#waiting.delete(resolve)
      clearTimeout(timer)
    }
    return true
  }

  /** Looks now. Resolves when everything that was committed before the call is in force. */
  refresh(): Promise<void> {
    return this.#follower.refresh()
  }

  async close(): Promise<void> {
    await this.#follower.close()
    this.#attempts = []
    this.#wake()
  }

  /** @returns whether the tables could be read */
  async #read(): Promise<boolean> {
    const { pool, logger, heldUnseenMs = HELD_UNSEEN_MS } = this.#options
    try {
      // Before the entries: an attempt that has gone by then has its entry.
      const attempts = await listAttempts(pool, null)
      const { newest, hasKnown } = await readNewestDeployment(pool, this.#newest)
      if (newest !== this.#newest) {
        const entries = await listLiveSince(pool, hasKnown ? this.#newest : 0)
        if (!hasKnown) this.#live.clear()
        for (const entry of entries) this.#live.set(entry.model, entry)
        this.#newest = newest
      }
      this.#attempts = attempts
      if (!this.#isReachable && this.#hasRead) {
        logger.info({}, 'the ledger of deployments can be read again')
      }
      this.#isReachable = true
      this.#hasRead = true
      this.#readMs = performance.now()
      this.#wake()
      return true
    } catch (error) {
      if (this.#isReachable || !this.#hasRead) {
        const reason = error instanceof Error ? error.message : String(error)
        logger.warn({ reason }, "the ledger of deployments can't be read; what was live goes on")
      }
      this.#isReachable = false
      if (performance.now() - this.#readMs > heldUnseenMs) {
        this.#attempts = []
        this.#wake()
      }
      return false
    }
  }

  #wake() {
    for (const wake of this.#waiting) wake()
  }
}
