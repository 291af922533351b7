// Where answers are kept: in this process, bounded by bytes, and in Redis for all replicas, bounded by time and by the
// size of each.
//
// Neither is ever waited for in vain: while Redis is away there are misses, and nothing else.
//
// Knows: keys and texts. Does not know: what they mean.

import { LRUCache } from 'lru-cache'

import type { Redis } from '../process/redis.ts'

export interface AnswerStoreOptions {
  maxBytes: number
  /** null: this process alone */
  redis: Redis | null
  /** milliseconds since 1970, monotonic */
  now: () => number
}

interface Kept {
  text: string
  expiresMs: number
}

const PREFIX = '{headrace}:answers:'
/** an object, its key and its place in the list */
const ENTRY_BYTES = 200

export class AnswerStore {
  readonly #options: AnswerStoreOptions
  readonly #near: LRUCache<string, Kept>

  constructor(options: AnswerStoreOptions) {
    this.#options = options
    const { maxBytes } = options
    this.#near = new LRUCache({
      maxSize: maxBytes,
      // A character takes two bytes as soon as one of them is beyond Latin-1.
      sizeCalculation: ({ text }) => ENTRY_BYTES + 2 * text.length,
    })
  }

  get bytes(): number {
    return this.#near.calculatedSize
  }

  /** Never throws. */
  async get(key: string): Promise<string | null> {
    const { redis, now } = this.#options
    const near = this.#near.get(key)
    if (near && near.expiresMs > now()) return near.text
    this.#near.delete(key)
    if (redis?.status !== 'ready') return null
    try {
      const [[, text], [, leftMs]] = (await redis
        .multi()
        .get(PREFIX + key)
        .pttl(PREFIX + key)
        .exec()) as [[unknown, string | null], [unknown, number]]
      if (text === null || leftMs <= 0) return null
      this.#near.set(key, { text, expiresMs: now() + leftMs })
      return text
    } catch {
      return null
    }
  }

  /** Never throws, and nobody waits for it. */
  set(key: string, text: string, seconds: number): void {
    const { redis, now } = this.#options
    const livesMs = Math.round(seconds * 1_000)
    this.#near.set(key, { text, expiresMs: now() + livesMs })
    if (redis?.status === 'ready') redis.set(PREFIX + key, text, 'PX', livesMs).catch(() => {})
  }

  close(): void {
    this.#options.redis?.disconnect()
  }
}
