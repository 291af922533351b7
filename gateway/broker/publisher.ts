// Puts messages into a queue of RabbitMQ, and knows when they are safe there.
//
// Knows: confirmations. Does not know: what is in a message, how a connection comes back.

import type { Channel } from 'rabbitmq-client'

import { isTooLarge, reasonOf } from './broker-errors.ts'
import { BrokerConnection, QUEUE } from './connection.ts'
import type { BrokerOptions } from './connection.ts'

export interface Outgoing {
  contentType?: string
  headers: Record<string, unknown>
  body: Buffer
}

export interface PublisherOptions extends BrokerOptions {
  confirmTimeoutMs?: number
}

/** A server that has not confirmed by then hangs, or is out of disk. */
const CONFIRM_TIMEOUT_MS = 30_000
const PERSISTENT = 2

export class Publisher {
  readonly #options: PublisherOptions
  #connection: BrokerConnection
  #channel: Promise<Channel> | null = null

  constructor(options: PublisherOptions) {
    this.#options = options
    this.#connection = new BrokerConnection(options, 'publisher')
  }

  get isConnected(): boolean {
    return this.#connection.isConnected && !this.#connection.isBlocked
  }

  /** Resolves when the server has all of them safe in the queue. @throws where it may not; some may be there then */
  async publish(messages: Outgoing[], queue = this.#options.queue ?? QUEUE): Promise<void> {
    const { host, isBlocked } = this.#connection
    if (isBlocked) throw new Error(`RabbitMQ at ${host} has no room at the moment.`)
    const channel = await this.#open()
    let isReturned = false
    const onReturn = () => void (isReturned = true)
    channel.on('basic.return', onReturn)
    const envelope = { routingKey: queue, mandatory: true, deliveryMode: PERSISTENT }
    try {
      const confirmations = messages.map(({ body, ...properties }) =>
        channel.basicPublish({ ...envelope, ...properties }, body),
      )
      await this.#confirmed(confirmations)
      // What can't be routed is returned before it is confirmed, and the client tells so a turn of the loop later.
      await new Promise(setImmediate)
    } catch (error) {
      if (isTooLarge(error)) throw error
      throw new Error(`RabbitMQ at ${host}: ${reasonOf(error)}`, { cause: error })
    } finally {
      channel.off('basic.return', onReturn)
    }
    if (!isReturned) return
    // Somebody has deleted the queue; with the next channel it is made again.
    this.#channel = null
    await channel.close()
    throw new Error(`RabbitMQ at ${host} has no queue ${queue}.`)
  }

  async close(): Promise<void> {
    if (!this.#connection.isConnected) return this.#connection.destroy()
    const channel = await this.#channel?.catch(() => null)
    await channel?.close()
    await this.#connection.close()
  }

  async #confirmed(confirmations: Promise<void>[]): Promise<void> {
    const { confirmTimeoutMs = CONFIRM_TIMEOUT_MS } = this.#options
    const { promise: late, reject } = Promise.withResolvers<never>()
    const timer = setTimeout(() => {
      reject(new Error(`nothing was confirmed in ${confirmTimeoutMs} ms`))
      this.#reset()
    }, confirmTimeoutMs)
    try {
      await Promise.race([Promise.all(confirmations), late])
    } finally {
      clearTimeout(timer)
    }
  }

  /** What was not sent yet would pile up in the old connection. */
  #reset(): void {
    this.#channel = null
    this.#connection.destroy()
    this.#connection = new BrokerConnection(this.#options, 'publisher')
  }

  async #open(): Promise<Channel> {
    const open = await this.#channel?.catch(() => null)
    if (open?.active) return open
    this.#channel = this.#openNew()
    return this.#channel
  }

  async #openNew(): Promise<Channel> {
    await this.#connection.ensureQueues()
    const channel = await this.#connection.openChannel()
    await channel.confirmSelect()
    return channel
  }
}
