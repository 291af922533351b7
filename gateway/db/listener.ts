// One connection that waits for PostgreSQL's calls on a channel.
//
// Calls are hints: a connection that breaks, or a pooler in between that swallows them, loses some. Whoever listens polls
// as well, and says `ensure` then, which connects again.
//
// Knows: LISTEN. Does not know: what is called out.

import type { PoolClient } from 'pg'

import type { Pool } from './pool.ts'

export class Listener {
  readonly #pool: Pool
  readonly #channel: string
  readonly #onCall: () => void
  #client: PoolClient | null = null
  #opening: Promise<void> | null = null
  #isClosed = false

  /** @param channel a plain identifier */
  constructor(pool: Pool, channel: string, onCall: () => void) {
    this.#pool = pool
    this.#channel = channel
    this.#onCall = onCall
  }

  /** Listens, if it doesn't; where the database is away, the next call tries again. */
  ensure(): void {
    if (this.#client || this.#opening || this.#isClosed) return
    // Whoever reads the tables beside us says that the database is away; one word for it is enough.
    this.#opening = this.#open().catch(() => {})
    void this.#opening.finally(() => (this.#opening = null))
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#opening
    this.#drop()
  }

  async #open(): Promise<void> {
    const client = await this.#pool.connect()
    this.#client = client
    client.on('error', this.#drop)
    client.on('end', this.#drop)
    client.on('notification', this.#onCall)
    try {
      await client.query(`LISTEN ${this.#channel}`)
    } catch (error) {
      this.#drop()
      throw error
    }
  }

  readonly #drop = () => {
    const client = this.#client
    if (!client) return
    this.#client = null
    client.off('notification', this.#onCall)
    // Not back into the pool: it would go on listening there.
    client.release(true)
  }
}
