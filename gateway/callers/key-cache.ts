// Who a key belongs to: a short memory in front of the table of keys.
//
// A known key is asked for again after a few seconds, so that a revoked one is soon refused. When the table can't be
// asked, a key that was known goes on for a set time: a database outage must not turn valid keys into 401. What can't
// be decided at all is an error of ours, never a 401.
//
// Known and unknown keys are kept and looked up apart: whoever sends ten thousand wrong keys fills a memory of bounded
// size and waits in a line of their own, and callers who are known notice nothing.
//
// Knows: digests. Does not know: HTTP, SQL. A key itself is forgotten as soon as it is hashed.

import { hash, timingSafeEqual } from 'node:crypto'

import { LRUCache } from 'lru-cache'

import { GatewayError } from '../errors.ts'
import { ADMIN } from './caller.ts'
import { inTime } from './in-time.ts'
import type { Caller } from './caller.ts'

export interface Callers {
  /** @param keyHash SHA-256 of the key; null where there is no such key, the caller also where it has expired */
  findByKeyHash(keyHash: Buffer): Promise<Caller | null>
}

export interface KeyCacheOptions {
  callers: Callers
  /** SHA-256 of the admin key */
  adminKeyHash: Buffer
  /** how long a known key goes on while the table can't be asked */
  graceMs: number
  /** milliseconds since 1970, monotonic */
  now: () => number
  /** told how each look-up in the table ended */
  onLookup?: (result: 'found' | 'unknown' | 'failed') => void
}

/** all keys that are made start so; anything else is refused without asking */
const KEY_PREFIX = 'hr_'
/** how long an answer of the table is believed: a revoked key is refused after at most this */
const FRESH_MS = 5_000
/** how long a table that is away is left alone between two look-ups, where there is an old answer to go by */
const AWAY_MS = 1_000
/** a table that has not answered by then is as good as away */
const LOOKUP_TIMEOUT_MS = 2_000
/** about 2 MB each; more callers than this are served too, with a look-up each */
const MAX_REMEMBERED = 10_000
/** look-ups of unknown keys at once; leaves most of a pool of ten connections to the known ones */
const MAX_STRANGERS = 4
/** unknown keys that may wait for their turn; a look-up is a millisecond, so a full line is a second */
const MAX_STRANGERS_WAITING = 1_000

interface Known {
  caller: Caller
  /** when the table was asked */
  checkedMs: number
}

export class KeyCache {
  readonly #options: KeyCacheOptions
  readonly #known = new LRUCache<string, Known>({ max: MAX_REMEMBERED })
  /** digests of wrong keys, and when they were */
  readonly #wrong = new LRUCache<string, number>({ max: MAX_REMEMBERED })
  readonly #lookups = new Map<string, Promise<Caller | null>>()
  /** the last look-up failed */
  #isAway = false
  #askAgainMs = 0
  /** what was found until then is not believed without asking again */
  #doubtedMs = -Infinity
  #strangers = 0
  readonly #waitingStrangers: (() => void)[] = []

  constructor(options: KeyCacheOptions) {
    this.#options = options
  }

  /**
   * @returns null for a key that is wrong or revoked
   * @throws GatewayError `expired_api_key`; `key_check_unavailable` where nobody can say
   */
  async identify(key: string): Promise<Caller | null> {
    const digest = hash('sha256', key, 'buffer')
    if (timingSafeEqual(digest, this.#options.adminKeyHash)) return ADMIN
    if (!key.startsWith(KEY_PREFIX)) return null
    const caller = await this.#find(digest)
    // Here and not in SQL, so that a key expires on time although it is remembered.
    if (caller?.expiresAt && caller.expiresAt.getTime() <= this.#options.now()) {
      throw new GatewayError(
        'expired_api_key',
        `This API key expired at ${caller.expiresAt.toISOString()}.`,
      )
    }
    return caller
  }

  /** Keys were changed: each is asked for again before it is believed. Known ones stay known while the table is away. */
  doubtAll() {
    this.#doubtedMs = this.#options.now()
    this.#lookups.clear()
  }

  async #find(digest: Buffer): Promise<Caller | null> {
    const id = digest.toString('base64')
    const known = this.#known.get(id)
    if (known)
      return this.#isFresh(known.checkedMs) ? known.caller : this.#recheck(id, digest, known)
    const wrongSince = this.#wrong.get(id)
    if (wrongSince !== undefined && this.#isFresh(wrongSince)) return null
    return this.#meet(id, digest)
  }

  #isFresh(checkedMs: number): boolean {
    return checkedMs > this.#doubtedMs && this.#options.now() - checkedMs < FRESH_MS
  }

  async #recheck(id: string, digest: Buffer, known: Known): Promise<Caller | null> {
    const { now, graceMs } = this.#options
    const isKept = now() - known.checkedMs < graceMs
    if (isKept && this.#isAway) {
      // A known caller does not wait for a table that hangs: whether it is back is found out beside the request.
      if (now() >= this.#askAgainMs) void this.#lookUp(id, digest).catch(() => {})
      return known.caller
    }
    try {
      return await this.#lookUp(id, digest)
    } catch (error) {
      if (isKept) return known.caller
      throw error
    }
  }

  /** A key that nobody knows waits in the strangers' line. */
  async #meet(id: string, digest: Buffer): Promise<Caller | null> {
    const underWay = this.#lookups.get(id)
    if (underWay) return underWay
    if (this.#strangers >= MAX_STRANGERS) {
      if (this.#waitingStrangers.length >= MAX_STRANGERS_WAITING) {
        throw unavailable('Too many unknown keys are being checked.')
      }
      await new Promise<void>((resolve) => this.#waitingStrangers.push(resolve))
    } else {
      this.#strangers++
    }
    try {
      return await this.#lookUp(id, digest)
    } finally {
      // The place is handed on, not given back, so that nobody can slip in between.
      const next = this.#waitingStrangers.shift()
      if (next) next()
      else this.#strangers--
    }
  }

  /** One look-up for all who ask for the same key at once. */
  #lookUp(id: string, digest: Buffer): Promise<Caller | null> {
    let lookup = this.#lookups.get(id)
    if (!lookup) {
      const asked = this.#ask(id, digest).finally(() => {
        if (this.#lookups.get(id) === asked) this.#lookups.delete(id)
      })
      lookup = asked
      this.#lookups.set(id, lookup)
    }
    return lookup
  }

  async #ask(id: string, digest: Buffer): Promise<Caller | null> {
    const { callers, now, onLookup } = this.#options
    const askedMs = now()
    this.#askAgainMs = askedMs + AWAY_MS
    try {
      const lookup = callers.findByKeyHash(digest)
      const caller = await inTime(lookup, LOOKUP_TIMEOUT_MS, 'The table of keys')
      if (caller) {
        this.#wrong.delete(id)
        this.#known.set(id, { caller, checkedMs: askedMs })
      } else {
        this.#known.delete(id)
        this.#wrong.set(id, askedMs)
      }
      this.#isAway = false
      onLookup?.(caller ? 'found' : 'unknown')
      return caller
    } catch (error) {
      this.#isAway = true
      this.#askAgainMs = now() + AWAY_MS
      onLookup?.('failed')
      throw unavailable("The key can't be checked at the moment.", error)
    }
  }
}

function unavailable(reason: string, cause?: unknown): GatewayError {
  return new GatewayError('key_check_unavailable', `${reason} Try again shortly.`, { cause })
}
