// Thoughts that are being told: as they are, or, where the client asked for a summary, as one.
//
// No target says which of the two its thoughts are; what clients show to people is the summary.

import type { Events } from './events.ts'
import type { ItemStatus, Reasoning } from './item.ts'
import type { ItemAddress } from './output.ts'

export class OpenReasoning {
  readonly address: ItemAddress
  readonly item: Reasoning
  readonly #events: Events
  readonly #isSummary: boolean
  #part: { type: 'summary_text' | 'reasoning_text'; text: string } | null = null
  #tellDelta: (own: string) => string = () => ''

  constructor(address: ItemAddress, events: Events, isSummary: boolean) {
    this.address = address
    this.#events = events
    this.#isSummary = isSummary
    this.item = { id: address.item_id, type: 'reasoning', summary: [], status: 'in_progress' }
  }

  think(text: string, signature: string | undefined): string {
    if (signature !== undefined) this.item.encrypted_content = signature
    if (text === '') return ''
    const frames = this.#part ? '' : this.#begin()
    if (this.#part) this.#part.text += text
    return frames + this.#tellDelta(`"delta":${JSON.stringify(text)}`)
  }

  end(status: ItemStatus): string {
    this.item.status = status
    const part = this.#part
    if (!part) return ''
    const at = this.#at()
    return this.#isSummary
      ? this.#events.tell('response.reasoning_summary_text.done', { ...at, text: part.text }) +
          this.#events.tell('response.reasoning_summary_part.done', { ...at, part })
      : this.#events.tell('response.reasoning_text.done', { ...at, text: part.text }) +
          this.#events.tell('response.content_part.done', { ...at, part })
  }

  #begin(): string {
    const at = this.#at()
    if (this.#isSummary) {
      const part = { type: 'summary_text' as const, text: '' }
      this.#part = part
      this.item.summary = [part]
      this.#tellDelta = this.#events.repeat('response.reasoning_summary_text.delta', at)
      return this.#events.tell('response.reasoning_summary_part.added', { ...at, part })
    }
    const part = { type: 'reasoning_text' as const, text: '' }
    this.#part = part
    this.item.content = [part]
    this.#tellDelta = this.#events.repeat('response.reasoning_text.delta', at)
    return this.#events.tell('response.content_part.added', { ...at, part })
  }

  #at() {
    return this.#isSummary
      ? { ...this.address, summary_index: 0 }
      : { ...this.address, content_index: 0 }
  }
}
