// Takes messages from a queue of RabbitMQ, for as long as it is open, and whenever the connection comes back.
//
// Knows: acknowledgements. Does not know: what is in a message.

import { setTimeout as sleep } from 'node:timers/promises'

import { ConsumerStatus } from 'rabbitmq-client'
import type { AsyncMessage, Consumer } from 'rabbitmq-client'

import { reasonOf } from './broker-errors.ts'
import { BrokerConnection } from './connection.ts'
import type { BrokerOptions } from './connection.ts'

export interface SubscriptionOptions extends BrokerOptions {
  /** messages that are told and not done at once */
  prefetch: number
  /** @returns whether the message is done; else somebody is told it again */
  take(message: AsyncMessage): Promise<boolean>
}

const RETRY_MS = 500

export class Subscription {
  readonly #options: SubscriptionOptions
  readonly #connection: BrokerConnection
  readonly #consumer: Consumer
  readonly #starting: Promise<void>
  #isClosing = false

  constructor(options: SubscriptionOptions) {
    const { logger, prefetch, take } = options
    this.#options = options
    this.#connection = new BrokerConnection(options, 'log-writer')
    this.#consumer = this.#connection.createConsumer(prefetch, async (message) =>
      (await take(message)) ? ConsumerStatus.ACK : ConsumerStatus.REQUEUE,
    )
    this.#consumer.on('error', (error: unknown) => {
      if (this.#isClosing) return
      logger.warn({ reason: reasonOf(error) }, 'no exchanges come from RabbitMQ; trying again')
      if (this.#connection.isConnected) void this.#restoreQueues()
    })
    this.#starting = this.#start()
  }

  get isConnected(): boolean {
    return this.#connection.isConnected
  }

  /** Takes no new messages; resolves when those that are here have found their end. */
  async close(): Promise<void> {
    this.#isClosing = true
    await this.#starting
    await this.#consumer.close()
    await this.#connection.close()
  }

  /** Somebody may have deleted them. The consumer tries again by itself. */
  async #restoreQueues(): Promise<void> {
    try {
      await this.#connection.ensureQueues()
    } catch (error) {
      this.#options.logger.debug({ reason: reasonOf(error) }, 'the queues could not be made')
    }
  }

  /** The server may not be there yet. */
  async #start(): Promise<void> {
    while (!this.#isClosing) {
      try {
        await this.#connection.ensureQueues()
        this.#consumer.start()
        return
      } catch (error) {
        this.#options.logger.warn({ reason: reasonOf(error) }, 'waiting for RabbitMQ')
        await sleep(RETRY_MS)
      }
    }
  }
}
