// Keeps up with tables that others change: PostgreSQL calls when they do, and they are looked at now and then besides,
// because calls get lost.
//
// One look is under way at a time; whoever asks for one meanwhile gets another behind it, as the first may have been too
// early. While the database is away the polling goes on, and whoever reads says so.
//
// Knows: when to look. Does not know: what is read, what becomes of it.

import { Listener } from './listener.ts'
import type { Pool } from './pool.ts'

export interface FollowerOptions {
  pool: Pool
  /** a plain identifier */
  channel: string
  pollMs: number
  /** Looks once, and tells itself what goes wrong. @returns whether the tables could be read */
  read(): Promise<boolean>
}

export class Follower {
  readonly #options: FollowerOptions
  readonly #listener: Listener
  #reading: Promise<void> | null = null
  #isAskedAgain = false
  #isReachable = false
  #timer: NodeJS.Timeout | null = null
  #isClosed = false

  constructor(options: FollowerOptions) {
    this.#options = options
    this.#listener = new Listener(options.pool, options.channel, () => void this.refresh())
  }

  /** Resolves when it has looked once, whatever it saw. */
  async start(): Promise<void> {
    await this.refresh()
    if (this.#isClosed) return
    if (this.#isReachable) this.#listener.ensure()
    this.#timer = setTimeout(() => void this.start(), this.#options.pollMs).unref()
  }

  /** Looks now. Resolves when everything that was committed before the call has been seen. */
  async refresh(): Promise<void> {
    if (this.#reading) {
      // The look under way may have been too early.
      this.#isAskedAgain = true
      return this.#reading
    }
    this.#reading = this.#readUntilQuiet()
    return this.#reading
  }

  async close(): Promise<void> {
    this.#isClosed = true
    if (this.#timer) clearTimeout(this.#timer)
    await this.#listener.close()
    await this.#reading
  }

  async #readUntilQuiet(): Promise<void> {
    try {
      do {
        this.#isAskedAgain = false
        this.#isReachable = await this.#options.read()
      } while (this.#isAskedAgain)
    } finally {
      // In the turn in which nobody has asked again: whoever asks a moment later starts another look.
      this.#reading = null
    }
  }
}
