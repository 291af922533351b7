// Where the gateway's exchanges go where a broker is set: they count as drained when it has confirmed them.

import { isTooLarge } from './broker-errors.ts'
import { packMessages } from './message.ts'
import type { Publisher } from './publisher.ts'
import type { Sink } from '../exchange-log/writer.ts'

export function brokerSink(publisher: Publisher): Sink {
  return {
    name: 'RabbitMQ',
    write: (batch) => publisher.publish(packMessages(batch)),
    isRefusal: isTooLarge,
  }
}
