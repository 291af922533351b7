// A function call that is being written.

import type { Events } from './events.ts'
import type { FunctionCall, ItemStatus } from './item.ts'
import type { ItemAddress } from './output.ts'

export class OpenCall {
  readonly address: ItemAddress
  readonly item: FunctionCall
  readonly #events: Events
  readonly #tellDelta: (own: string) => string

  /** @param callId the model's own, by which its output is given back */
  constructor(address: ItemAddress, events: Events, callId: string, name: string) {
    this.address = address
    this.#events = events
    this.#tellDelta = events.repeat('response.function_call_arguments.delta', address)
    this.item = {
      id: address.item_id,
      type: 'function_call',
      call_id: callId,
      name,
      arguments: '',
      status: 'in_progress',
    }
  }

  argue(text: string): string {
    if (text === '') return ''
    this.item.arguments += text
    return this.#tellDelta(`"delta":${JSON.stringify(text)}`)
  }

  end(status: ItemStatus): string {
    const { item } = this
    item.status = status
    return this.#events.tell('response.function_call_arguments.done', {
      ...this.address,
      name: item.name,
      arguments: item.arguments,
    })
  }
}
