// Takes exchanges from the broker and writes them to PostgreSQL: those that come while a batch is written are the next.
//
// A message is done when all that is in it is committed, or lies in the queue of what nobody can write; until then it is
// the broker's. So nothing is lost whoever dies, and what comes twice is written once, as the tables know each exchange by
// its id. A batch that is refused for what is in it is halved until the exchange at fault stands alone.
//
// Knows: batches, time. Does not know: SQL, AMQP.

import { setTimeout as sleep } from 'node:timers/promises'

import { idOf } from '../db/exchanges.ts'
import { isRefusal } from '../db/refusal.ts'
import { isUniqueViolation } from '../db/transaction.ts'
import { reasonOf } from './broker-errors.ts'
import { packMessages, PoisonMessage, unpackMessage } from './message.ts'
import { deadQueueOf, QUEUE } from './connection.ts'
import { Publisher } from './publisher.ts'
import { Subscription } from './subscription.ts'
import type { BrokerOptions } from './connection.ts'
import type { Outgoing } from './publisher.ts'
import type { GivenMessage } from './message.ts'
import type { EncodedExchanges, ExchangeTables } from '../db/exchange-tables.ts'

export interface LogWriterOptions extends BrokerOptions {
  tables: Pick<ExchangeTables, 'write'>
  /** the first of the waits between attempts; each is twice as long as the one before */
  retryMs?: number
}

interface Delivery extends EncodedExchanges {
  done(isDone: boolean): void
}

/** A quarter of a MiB each, mostly: what a writer holds in memory, and what another one gets when it dies. */
const PREFETCH = 64
const BATCH_RECORDS = 1_000
const RETRY_MS = 100
const MAX_RETRY_MS = 5_000
/** Two who were told the same exchange wait for each other in PostgreSQL, and one of them is told that it is there. */
const MOST_COLLISIONS = 5

export class LogWriter {
  readonly #options: Required<LogWriterOptions>
  readonly #subscription: Subscription
  /** of what nobody can write */
  readonly #publisher: Publisher
  readonly #waiting: Delivery[] = []
  readonly #giveUp = new AbortController()
  #isBusy = false
  #isAway = false
  #written = 0
  #batches = 0
  #refused = 0

  constructor(options: LogWriterOptions) {
    this.#options = { retryMs: RETRY_MS, queue: QUEUE, ...options }
    // A server without room hears nothing more from a connection that publishes: acknowledgements need their own.
    this.#publisher = new Publisher(options)
    const take = (message: GivenMessage) => this.#take(message)
    this.#subscription = new Subscription({ ...options, prefetch: PREFETCH, take })
  }

  /** exchanges that are in PostgreSQL, those included that were there already */
  get written(): number {
    return this.#written
  }

  get batches(): number {
    return this.#batches
  }

  /** exchanges, and messages that are none, that were put into the dead-letter queue */
  get refused(): number {
    return this.#refused
  }

  /** exchanges in memory */
  get pending(): number {
    return this.#waiting.reduce((sum, { payloads }) => sum + payloads.length, 0)
  }

  /** PostgreSQL took the last batch */
  get isWriting(): boolean {
    return !this.#isAway
  }

  get isConnected(): boolean {
    return this.#subscription.isConnected
  }

  /** Writes what is here, for as long as that; the broker gives the rest to others. */
  async close(deadlineMs: number): Promise<void> {
    const timer = setTimeout(() => this.#giveUp.abort(), deadlineMs)
    await this.#subscription.close()
    clearTimeout(timer)
    this.#giveUp.abort()
    await this.#publisher.close()
  }

  /** @returns whether it is done */
  async #take(message: GivenMessage & { redelivered?: boolean }): Promise<boolean> {
    let exchanges: EncodedExchanges
    try {
      exchanges = unpackMessage(message)
    } catch (error) {
      if (!(error instanceof PoisonMessage)) throw error
      return this.#refuse(copyOf(message), error)
    }
    return new Promise((resolve) => {
      const isSuspect = exchanges.isSuspect || message.redelivered === true
      this.#waiting.push({ ...exchanges, isSuspect, done: resolve })
      void this.#writeAll()
    })
  }

  async #writeAll(): Promise<void> {
    if (this.#isBusy) return
    this.#isBusy = true
    // What came in one turn of the loop is written together.
    await new Promise(setImmediate)
    while (this.#waiting.length > 0) {
      const deliveries = this.#next()
      const [{ heading }] = deliveries as [Delivery]
      const isDone = await this.#write({
        heading,
        payloads: deliveries.flatMap(({ payloads }) => payloads),
        isSuspect: deliveries.some(({ isSuspect }) => isSuspect),
      })
      for (const { done } of deliveries.splice(0)) done(isDone)
    }
    this.#isBusy = false
  }

  /** As many as make a batch; all of one heading, as gateways of two releases have two. */
  #next(): Delivery[] {
    let records = 0
    let count = 0
    for (const { heading, payloads } of this.#waiting) {
      if (heading !== this.#waiting[0]!.heading) break
      if (count > 0 && records + payloads.length > BATCH_RECORDS) break
      records += payloads.length
      count++
    }
    return this.#waiting.splice(0, count)
  }

  /** @returns false where it was given up before all of it had found a place */
  async #write(batch: EncodedExchanges): Promise<boolean> {
    const { tables, logger, retryMs } = this.#options
    let { isSuspect } = batch
    let waitMs = retryMs
    let collisions = 0
    while (!this.#giveUp.signal.aborted) {
      try {
        await tables.write({ ...batch, isSuspect })
        this.#batches++
        this.#written += batch.payloads.length
        if (this.#isAway) logger.info({}, 'PostgreSQL is back; exchanges are being written')
        this.#isAway = false
        return true
      } catch (error) {
        if (isUniqueViolation(error) && ++collisions <= MOST_COLLISIONS) {
          isSuspect = true
        } else if (isRefusal(error)) {
          return this.#takeApart({ ...batch, isSuspect }, error)
        } else {
          if (!this.#isAway) logger.warn({ err: error }, 'exchanges wait for PostgreSQL')
          this.#isAway = true
        }
        await sleep(waitMs, undefined, { signal: this.#giveUp.signal }).catch(() => {})
        waitMs = Math.min(2 * waitMs, MAX_RETRY_MS)
      }
    }
    return false
  }

  async #takeApart(batch: EncodedExchanges, error: unknown): Promise<boolean> {
    const { payloads } = batch
    if (payloads.length > 1) {
      const half = payloads.length >> 1
      if (!(await this.#write({ ...batch, payloads: payloads.slice(0, half) }))) return false
      return this.#write({ ...batch, payloads: payloads.slice(half) })
    }
    const [message] = packMessages({ ...batch, isSuspect: true })
    return this.#refuse(message!, error, idOf(payloads[0]!))
  }

  /** It goes where a person looks after it. @returns false where the broker did not take it until all was given up */
  async #refuse(message: Outgoing, reason: unknown, exchange?: string): Promise<boolean> {
    const { queue, logger, retryMs } = this.#options
    const deadQueue = deadQueueOf(queue)
    const headers = { ...message.headers, reason: reasonOf(reason) }
    for (let waitMs = retryMs; !this.#giveUp.signal.aborted;) {
      try {
        await this.#publisher.publish([{ ...message, headers }], deadQueue)
        this.#refused++
        const what = exchange === undefined ? 'a message' : 'an exchange'
        const context = { err: reason, exchange, queue: deadQueue }
        logger.error(context, `${what} can't be written; it is in the dead-letter queue`)
        return true
      } catch (error) {
        logger.warn({ err: error }, 'the dead-letter queue takes nothing; trying again')
        await sleep(waitMs, undefined, { signal: this.#giveUp.signal }).catch(() => {})
        waitMs = Math.min(2 * waitMs, MAX_RETRY_MS)
      }
    }
    return false
  }
}

/** The client has read some content types already. */
function copyOf({ contentType, headers = {}, body }: GivenMessage): Outgoing {
  const bytes = Buffer.isBuffer(body)
    ? body
    : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
  return { contentType, headers, body: bytes }
}
