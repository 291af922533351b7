// What the broker's errors say, and which of them come from the message itself.

import { AMQPError } from 'rabbitmq-client'

/** RabbitMQ closes the channel and says so in words alone. */
export function isTooLarge(error: unknown): boolean {
  return (
    error instanceof AMQPError &&
    error.code === 'PRECONDITION_FAILED' &&
    error.message.includes('message size')
  )
}

export function reasonOf(error: unknown): string {
  // Where a name has several addresses, what went wrong with each is in `errors`, and `message` is empty.
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join(', ')
  return error instanceof Error ? error.message : String(error)
}
