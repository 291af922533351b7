// What a model says, piece by piece, as the items of a response and the events that tell of them.
//
// Thoughts and messages end when something else begins. Calls stay open until the model has finished: their arguments may
// come interleaved, and a call that was told as done must not change.
//
// Knows: which items are open. Does not know: the events of each kind, the response around them.

import { itemId } from './item.ts'
import { OpenCall } from './open-call.ts'
import { OpenMessage } from './open-message.ts'
import { OpenReasoning } from './open-reasoning.ts'
import type { Events } from './events.ts'
import type { ItemStatus, OutputItem } from './item.ts'
import type { TokenLogprob } from '../../../runtime/protocol.ts'

/** How events name an item. */
export interface ItemAddress {
  item_id: string
  output_index: number
}

export class Output {
  readonly items: OutputItem[] = []
  readonly #key: string
  readonly #events: Events
  readonly #isSummaryWanted: boolean
  /** the message or the thoughts that are being told */
  #current: OpenMessage | OpenReasoning | null = null
  /** by the model's own count of them */
  readonly #calls: OpenCall[] = []

  /**
   * @param key of the response
   * @param isSummaryWanted thoughts are told as a summary, which clients show, instead of as they are
   */
  constructor(key: string, events: Events, isSummaryWanted: boolean) {
    this.#key = key
    this.#events = events
    this.#isSummaryWanted = isSummaryWanted
  }

  text(text: string, logprobs: TokenLogprob[] | undefined): string {
    if (text === '' && !logprobs?.length) return ''
    if (this.#current instanceof OpenMessage) return this.#current.text(text, logprobs)
    const { message, frames } = this.#beginMessage()
    return frames + message.text(text, logprobs)
  }

  refusal(text: string): string {
    if (this.#current instanceof OpenMessage) return this.#current.refusal(text)
    const { message, frames } = this.#beginMessage()
    return frames + message.refusal(text)
  }

  /** A signature may come without a text, before it or after it. */
  reasoning(text: string, signature: string | undefined): string {
    if (this.#current instanceof OpenReasoning) return this.#current.think(text, signature)
    const closed = this.#endCurrent('completed')
    const reasoning = new OpenReasoning(
      this.#nextAddress('reasoning'),
      this.#events,
      this.#isSummaryWanted,
    )
    this.#current = reasoning
    return closed + this.#added(reasoning.item) + reasoning.think(text, signature)
  }

  call(index: number, id: string, name: string): string {
    const closed = this.#endCurrent('completed')
    const call = new OpenCall(this.#nextAddress('function_call'), this.#events, id, name)
    this.#calls[index] = call
    return closed + this.#added(call.item)
  }

  arguments(index: number, text: string): string {
    const call = this.#calls[index]
    if (!call) throw new Error(`Arguments for call ${index}, which never began. This is a bug.`)
    return call.argue(text)
  }

  /** @param status of the last item: what a model did not finish is the last that it began */
  end(status: ItemStatus): string {
    const last = this.items.at(-1)
    const statusOf = (item: OutputItem) => (item === last ? status : 'completed')
    let frames = this.#current ? this.#endCurrent(statusOf(this.#current.item)) : ''
    // In their order in the output, whatever the model's count.
    const calls = this.#calls
      .filter(Boolean)
      .toSorted((a, b) => a.address.output_index - b.address.output_index)
    for (const call of calls) frames += call.end(statusOf(call.item)) + this.#done(call)
    this.#calls.length = 0
    return frames
  }

  #beginMessage() {
    const closed = this.#endCurrent('completed')
    const message = new OpenMessage(this.#nextAddress('message'), this.#events)
    this.#current = message
    return { message, frames: closed + this.#added(message.item) }
  }

  #endCurrent(status: ItemStatus): string {
    const current = this.#current
    if (!current) return ''
    this.#current = null
    return current.end(status) + this.#done(current)
  }

  #nextAddress(type: OutputItem['type']): ItemAddress {
    const index = this.items.length
    return { item_id: itemId(type, { key: this.#key, isInput: false, index }), output_index: index }
  }

  #added(item: OutputItem): string {
    const index = this.items.push(item) - 1
    return this.#events.tell('response.output_item.added', { output_index: index, item })
  }

  #done({ address, item }: OpenCall | OpenMessage | OpenReasoning): string {
    const { output_index } = address
    return this.#events.tell('response.output_item.done', { output_index, item })
  }
}
