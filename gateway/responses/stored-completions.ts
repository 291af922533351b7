// Chat completions that were asked with `store: true`: read, renamed and deleted by whoever they belong to.
//
// They are rows of the exchange log. One that was just answered may be on its way to the table: whoever asks for it at
// once waits for it, for a moment.
//
// Knows: who owns what, for how long to wait. Does not know: SQL, wire shapes, HTTP.

import { setTimeout as sleep } from 'node:timers/promises'

import {
  deleteStored,
  findStored,
  listStored,
  NO_OWNER,
  updateStoredMetadata,
} from '../db/stored-completions.ts'
import { findExchangeHead } from '../db/exchange-heads.ts'
import { timeOfId } from '../db/partitions.ts'
import { GatewayError } from '../errors.ts'
import { parseExchangeId } from '../feedback/exchange-id.ts'
import type { Actor } from '../db/audit.ts'
import type { Page, Paged } from '../db/page.ts'
import type { Pool } from '../db/pool.ts'
import type { StoredCompletion, StoredFilter } from '../db/stored-completions.ts'
import type { Caller } from '../callers/caller.ts'
import type { RecentExchanges } from '../feedback/recent-exchanges.ts'

export interface StoredCompletionsOptions {
  pool: Pool
  recent: Pick<RecentExchanges, 'find'>
  /** milliseconds since 1970 */
  now: () => number
  waitMs?: number
}

/** Ten times what a row takes from the end of its answer into the table while PostgreSQL is well. */
const WAIT_MS = 3_000
const POLL_MS = 100
/** One that another replica answered is waited for where it began so lately. */
const LATELY_MS = 60_000

export class StoredCompletions {
  readonly #options: Required<StoredCompletionsOptions>

  constructor(options: StoredCompletionsOptions) {
    this.#options = { waitMs: WAIT_MS, ...options }
  }

  async find(caller: Caller, id: string): Promise<StoredCompletion> {
    const { pool } = this.#options
    return this.#once(id, (key) => findStored(pool, ownerOf(caller), key))
  }

  list(caller: Caller, filter: StoredFilter, page: Page): Promise<Paged<StoredCompletion>> {
    return listStored(this.#options.pool, ownerOf(caller), filter, page)
  }

  async update(
    caller: Caller,
    id: string,
    metadata: Record<string, string> | null,
  ): Promise<StoredCompletion> {
    const { pool } = this.#options
    const owner = ownerOf(caller)
    await this.#once(id, async (key) => updateStoredMetadata(pool, owner, key, metadata))
    return this.find(caller, id)
  }

  /** Its texts are deleted; what it took and cost stays in the log. */
  async delete(caller: Caller, id: string, actor: Actor): Promise<void> {
    const { pool } = this.#options
    await this.#once(id, (key) => deleteStored(pool, ownerOf(caller), key, actor))
  }

  /** What `ask` finds, as soon as it can be found. @throws GatewayError 404 */
  async #once<T>(id: string, ask: (key: string) => Promise<T | null | false>): Promise<T> {
    const { pool, now, waitMs } = this.#options
    const key = id.startsWith('chatcmpl-') ? parseExchangeId(id, now()) : null
    if (key === null) throw notFound(id)
    const deadlineMs = performance.now() + (this.#mayBeOnItsWay(key) ? waitMs : 0)
    for (let isThere = false; ;) {
      const found = await ask(key)
      if (found !== null && found !== false) return found
      if (isThere || performance.now() >= deadlineMs) throw notFound(id)
      // A row that is there and isn't the caller's is waited for by nobody. It may have come just now.
      isThere = (await findExchangeHead(pool, key)) !== null
      if (!isThere) await sleep(POLL_MS)
    }
  }

  #mayBeOnItsWay(key: string): boolean {
    const { recent, now } = this.#options
    const head = recent.find(key)
    return head ? head.isStored : now() - timeOfId(key) < LATELY_MS
  }
}

/** A project's callers share what they store; a key without a project has its own. */
function ownerOf({ project, id }: Caller): string {
  return project?.id ?? id ?? NO_OWNER
}

function notFound(id: string) {
  return new GatewayError(
    'completion_not_found',
    `Chat completion with id '${id.slice(0, 60)}' not found: it was not asked with 'store': true, was deleted, belongs to somebody else, or is not kept any more.`,
  )
}
