// A connection to RabbitMQ that comes back by itself, and its two queues: exchanges, and those that nobody could write.
//
// Queues are made where they are missing and used as they are where they are there, so that whoever runs the broker may
// have their own idea of them. Ours are quorum queues, which survive a node; where a server has none, durable ones.
//
// Knows: AMQP 0-9-1. Does not know: messages, PostgreSQL.

import { Connection } from 'rabbitmq-client'
import type { Channel, ConsumerHandler } from 'rabbitmq-client'

import { reasonOf } from './broker-errors.ts'
import type { Logger } from '../logger.ts'

export interface BrokerOptions {
  /** amqp:// or amqps://, with a password perhaps: never told to anybody */
  url: string
  logger: Logger
  /** of exchanges; the other one's name is this with `.dead` behind it */
  queue?: string
}

type Queue = Extract<Parameters<Channel['queueDeclare']>[0], object>

export const QUEUE = 'headrace.exchanges'
/** Who needs a channel has a wait of its own between attempts. */
const ACQUIRE_TIMEOUT_MS = 2_000
const CONNECT_TIMEOUT_MS = 5_000
const RECONNECT_MS = 200
const MAX_RECONNECT_MS = 5_000
/** A server whose machine is gone is known by then, twice over. */
const HEARTBEAT_S = 20
/**
 * A server takes messages back that nobody acknowledged for half an hour, counts that, and since 4.0 gives up after 20
 * times: ten hours without PostgreSQL. This is three weeks; a message that kills each of its readers ends there too.
 */
const DELIVERY_LIMIT = 1_000

export const deadQueueOf = (queue: string) => `${queue}.dead`

export class BrokerConnection {
  /** without user and password */
  readonly host: string
  readonly #logger: Logger
  readonly #queue: string
  readonly #client: Connection
  #isBlocked = false
  #isClosing = false
  /** of the connection, when it broke or could not be made */
  #lastReason = ''

  /** @param purpose what the server's own list of connections calls it */
  constructor({ url, logger, queue = QUEUE }: BrokerOptions, purpose: string) {
    this.host = URL.parse(url)?.host ?? ''
    this.#logger = logger
    this.#queue = queue
    this.#client = new Connection({
      url,
      connectionName: `headrace-${purpose}`,
      acquireTimeout: ACQUIRE_TIMEOUT_MS,
      connectionTimeout: CONNECT_TIMEOUT_MS,
      heartbeat: HEARTBEAT_S,
      retryLow: RECONNECT_MS,
      retryHigh: MAX_RECONNECT_MS,
    })
    // Without a listener an error would end the process.
    this.#client.on('error', (error) => this.#onError(error))
    this.#client.on('connection', () => {
      this.#isBlocked = false
      this.#lastReason = ''
      logger.debug({ host: this.host }, 'connected to RabbitMQ')
    })
    this.#client.on('connection.blocked', (reason) => {
      this.#isBlocked = true
      logger.warn({ reason, host: this.host }, 'RabbitMQ has no room and takes no messages')
    })
    this.#client.on('connection.unblocked', () => void (this.#isBlocked = false))
  }

  get isConnected(): boolean {
    return this.#client.ready
  }

  /** The server is short of memory or disk: what is sent to it would only pile up here. */
  get isBlocked(): boolean {
    return this.#isBlocked
  }

  /** @throws Error with the reason for which there is no connection */
  async openChannel(): Promise<Channel> {
    try {
      const channel = await this.#client.acquire({ emitErrorsFromChannel: true })
      // Whoever waits for the channel is told too.
      channel.on('error', (error: unknown) =>
        this.#logger.debug({ reason: reasonOf(error) }, 'RabbitMQ closed a channel'),
      )
      return channel
    } catch (error) {
      const reason = this.#lastReason || reasonOf(error)
      throw new Error(`RabbitMQ at ${this.host} can't be reached: ${reason}`, { cause: error })
    }
  }

  async ensureQueues(): Promise<void> {
    const dead = deadQueueOf(this.#queue)
    await this.#ensureQueue(dead, {})
    await this.#ensureQueue(this.#queue, {
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': dead,
    })
  }

  /** @param most messages that are told and not done at once */
  createConsumer(most: number, handler: ConsumerHandler) {
    return this.#client.createConsumer(
      {
        queue: this.#queue,
        queueOptions: { passive: true },
        qos: { prefetchCount: most },
        lazy: true,
      },
      handler,
    )
  }

  /** When its channels are closed. */
  async close(): Promise<void> {
    this.#isClosing = true
    await this.#client.close()
  }

  /** Whatever is under way. */
  destroy(): void {
    this.#isClosing = true
    this.#client.unsafeDestroy()
  }

  #onError(error: unknown): void {
    this.#lastReason = reasonOf(error)
    if (this.#isClosing) return
    const context = { reason: this.#lastReason, host: this.host }
    this.#logger.warn(context, 'there is no connection to RabbitMQ')
  }

  async #ensureQueue(queue: string, more: Queue['arguments']): Promise<void> {
    if (await this.#declare({ queue, passive: true })) return
    const quorum = {
      ...more,
      'x-queue-type': 'quorum',
      'x-delivery-limit': DELIVERY_LIMIT,
    } as const
    if (await this.#declare({ queue, durable: true, arguments: quorum })) return
    const channel = await this.openChannel()
    await channel.queueDeclare({ queue, durable: true, arguments: more })
    await channel.close()
  }

  /** A refusal closes the channel, so that each attempt needs one of its own. */
  async #declare(queue: Queue): Promise<boolean> {
    const channel = await this.openChannel()
    try {
      await channel.queueDeclare(queue)
      return true
    } catch (error) {
      if (!this.#client.ready) throw error
      return false
    } finally {
      await channel.close()
    }
  }
}
