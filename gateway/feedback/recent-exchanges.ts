// Whose the exchanges were that ended here lately: their rows may not be in PostgreSQL yet.
//
// A memory, no log: it is bounded, and gone with the process.

import { LRUCache } from 'lru-cache'

import type { ExchangeRecord } from '../exchange/exchange-record.ts'

/** What of an exchange is asked for by whoever says something about it. */
export interface ExchangeHead extends Pick<
  ExchangeRecord,
  'id' | 'callerId' | 'projectId' | 'endUser' | 'model' | 'version' | 'isStored'
> {}

/** Some seconds of three thousand exchanges a second, and the log is less than one behind. What is kept is collected late. */
const MAX_REMEMBERED = 8_000

export class RecentExchanges {
  readonly #heads = new LRUCache<string, ExchangeHead>({ max: MAX_REMEMBERED })

  remember(record: ExchangeRecord): void {
    const { id, callerId, projectId, endUser, model, version, isStored } = record
    this.#heads.set(id, { id, callerId, projectId, endUser, model, version, isStored })
  }

  find(id: string): ExchangeHead | null {
    return this.#heads.get(id) ?? null
  }
}
