// Counters that several replicas share in Redis, and what becomes of them while it is away.
//
// While Redis answers, it decides, and this process keeps an image of its own traffic. When it doesn't, each replica
// goes on with its share of every limit, the limit divided by the replicas that were last heard of, by that image.
// Coming back, a replica takes a new name, under which it says what it holds and what was spent; the old one's holdings
// die with the name. What was admitted in between Redis has never heard of, so that for one more window both decide.
//
// Knows: claims, the scripts. Does not know: callers, SQL.

import { randomUUID } from 'node:crypto'
import { once } from 'node:events'

import { MemoryCounters } from './memory-counters.ts'
import { BEAT_MS, createScripts } from './scripts.ts'
import type { BudgetClaim, Claim } from './claim.ts'
import type { Counters, Hold, Taken } from './counters.ts'
import type { MemoryCountersOptions, Spent } from './memory-counters.ts'
import type { Known, Scripts } from './scripts.ts'
import type { Logger } from '../logger.ts'
import type { Redis } from '../process/redis.ts'

export interface RedisCountersOptions extends MemoryCountersOptions {
  redis: Redis
  logger: Logger
}

/** What runs, as this process and Redis know it. */
interface SharedHold {
  claims: Claim[]
  image: Hold
  /** name of this replica under which Redis knows it; null: it doesn't */
  takenBy: string | null
  slot: string | null
  /** once it has ended */
  actuals?: number[]
}

/** The longest window; budgets and requests at once are made good when Redis is back. */
const DISTRUST_MS = 60_000

export class RedisCounters implements Counters {
  readonly #options: RedisCountersOptions
  readonly #image: MemoryCounters
  readonly #scripts: Scripts
  readonly #timer: NodeJS.Timeout
  readonly #open = new Set<SharedHold>()
  #me: string = randomUUID()
  #replicas = 1
  #state: 'up' | 'away' | 'closed' = 'away'
  #hasBeenUp = false
  /** something was admitted that Redis has not heard of */
  #hasShared = false
  #distrustUntilMs = -Infinity
  /** those who shared before Redis was away: not all of them come back at once */
  #sharers = 1
  #beating: Promise<void> | null = null

  constructor(options: RedisCountersOptions) {
    const { redis } = options
    this.#options = options
    this.#image = new MemoryCounters({
      ...options,
      onReconciled: (spent) => this.#raise(spent),
    })
    this.#scripts = createScripts(redis)
    redis.on('ready', () => void this.beat())
    redis.on('close', () => this.#lost(new Error('The connection was closed.')))
    this.#timer = setInterval(() => void this.beat(), BEAT_MS).unref()
  }

  get replicas(): number {
    return this.#replicas
  }

  get isDegraded(): boolean {
    return this.#state === 'away'
  }

  async take(claims: Claim[]): Promise<Taken> {
    if (this.#state !== 'up') return this.#takeShare(claims)
    try {
      return await this.#takeShared(claims)
    } catch (error) {
      this.#lost(error)
      return this.#takeShare(claims)
    }
  }

  /** Waits for Redis, and not for long: without it the gateway works too. */
  async start(patienceMs: number): Promise<void> {
    const { redis, logger } = this.#options
    if (redis.status !== 'ready') {
      await once(redis, 'ready', { signal: AbortSignal.timeout(patienceMs) }).catch(() => {})
    }
    await this.beat()
    if (this.isDegraded) {
      logger.error({}, 'Redis is away: until it is there, this replica goes by its own counts')
    }
  }

  /** Says that this replica lives; the first one after Redis was away says everything. Never throws. */
  async beat(): Promise<void> {
    this.#beating ??= this.#beat()
      .catch((error: unknown) => this.#lost(error))
      .finally(() => (this.#beating = null))
    await this.#beating
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    const wasUp = this.#state === 'up'
    this.#state = 'closed'
    await this.#image.close()
    const { redis } = this.#options
    // Behind all settlements, which went the same way.
    if (wasUp) await this.#scripts.leave(this.#me).catch(() => {})
    redis.disconnect()
  }

  async #takeShared(claims: Claim[]): Promise<Taken> {
    if (this.#options.now() < this.#distrustUntilMs) {
      const share = 1 / Math.max(this.#sharers, this.#replicas)
      const refusal = this.#image.refusalOf(claims, share, 'window')
      if (refusal) return { standings: this.#image.standingsOf(claims), refusal, hold: null }
    }
    const me = this.#me
    let answer = await this.#scripts.take(me, claims, new Map())
    if (answer.kind === 'unknown') {
      const indexes = answer.claims
      const budgets = indexes.map((index) => claims[index] as BudgetClaim)
      const spent = await this.#options.readSpent(budgets)
      const known = new Map(indexes.map((index, place) => [index, spent?.[place] ?? 0]))
      answer = await this.#scripts.take(me, claims, known)
    }
    if (answer.kind === 'lapsed' || answer.kind === 'unknown') {
      throw new Error('This replica was taken for dead.')
    }
    const { standings } = answer
    const image = answer.kind === 'taken' ? this.#image.count(claims) : null
    claims.forEach((claim, index) => {
      if (claim.kind === 'budget') this.#image.learn(claim, standings[index]?.used ?? 0)
    })
    if (answer.kind === 'refused') return { standings, refusal: answer.refusal, hold: null }
    const hold = image && this.#hold({ claims, image, takenBy: me, slot: answer.slot })
    return { standings, refusal: null, hold }
  }

  #takeShare(claims: Claim[]): Taken {
    this.#hasShared = true
    const taken = this.#image.takeShare(claims, 1 / this.#replicas)
    const image = taken.hold
    if (!image) return taken
    return { ...taken, hold: this.#hold({ claims, image, takenBy: null, slot: null }) }
  }

  #hold(shared: SharedHold): Hold {
    this.#open.add(shared)
    return {
      settle: (actuals) => {
        if (!this.#open.delete(shared)) return
        shared.actuals = actuals
        shared.image.settle(actuals)
        this.#tell(shared, actuals)
      },
    }
  }

  /** Redis is told what became of a request, in what it knows of it. */
  #tell({ claims, takenBy, slot }: SharedHold, actuals: number[]): void {
    if (this.#state !== 'up') return
    const me = this.#me
    const isMine = takenBy === me
    const settlements = claims.map((claim, index) => ({
      claim,
      reserved: claim.kind === 'window' || isMine ? claim.amount : 0,
      used: actuals[index] ?? 0,
    }))
    this.#scripts.settle(me, slot, settlements).catch((error: unknown) => this.#lost(error))
  }

  async #beat(): Promise<void> {
    if (this.#state === 'closed' || this.#options.redis.status !== 'ready') return
    if (this.#state === 'away') return this.#return()
    const { replicas, hasLapsed } = await this.#scripts.beat(this.#me)
    this.#replicas = replicas
    if (!hasLapsed) return
    this.#lost(new Error('This replica was not heard of for so long that it was taken for dead.'))
    await this.#return()
  }

  async #return(): Promise<void> {
    const { logger, now } = this.#options
    const before = this.#me
    const me = randomUUID()
    const spent = await this.#image.reconcile()
    const open = [...this.#open]
    await this.#scripts.sync(before, me, knownOf(open, spent))
    const { replicas } = await this.#scripts.beat(me)
    if (this.#state === 'closed') return
    this.#me = me
    this.#sharers = this.#replicas
    this.#replicas = replicas
    this.#state = 'up'
    for (const hold of open) {
      hold.takenBy = me
      // One that ended while Redis was told of it.
      if (hold.actuals) this.#tell(hold, hold.actuals)
    }
    const context = { replicas }
    if (this.#hasShared) this.#distrustUntilMs = now() + DISTRUST_MS
    this.#hasShared = false
    if (this.#hasBeenUp) {
      logger.info(context, 'Redis is back; limits are exact across replicas again')
    } else {
      logger.info(context, 'limits are shared with other replicas over Redis')
    }
    this.#hasBeenUp = true
  }

  /** Raises what everybody counts to what was written down. */
  #raise(spent: Spent[]): void {
    if (this.#state !== 'up' || spent.length === 0) return
    this.#scripts.sync(this.#me, this.#me, spent).catch((error: unknown) => this.#lost(error))
  }

  #lost(error: unknown): void {
    if (this.#state !== 'up') return
    this.#state = 'away'
    const context = { err: error, replicas: this.#replicas }
    this.#options.logger.error(
      context,
      'Redis is away: until it is back, each replica keeps to its share of the limits',
    )
  }
}

/** What a new name has to be known by: all that runs, and all that was spent. */
function knownOf(open: SharedHold[], spent: Spent[] | null): Known[] {
  const known = new Map<string, Known>()
  for (const { claim, spent: atLeast } of spent ?? []) {
    known.set(claim.key, { claim, spent: atLeast })
  }
  for (const claim of open.flatMap(({ claims }) => claims)) {
    if (claim.kind === 'window') continue
    const entry = known.get(claim.key) ?? { claim }
    known.set(claim.key, { ...entry, held: (entry.held ?? 0) + claim.amount })
  }
  return [...known.values()]
}
