// A message that is being said: its text, or the words in which the model refuses.

import type { Events } from './events.ts'
import type { ItemStatus, OutputMessage, OutputPart } from './item.ts'
import type { ItemAddress } from './output.ts'
import type { TokenLogprob } from '../../../runtime/protocol.ts'

export class OpenMessage {
  readonly address: ItemAddress
  readonly item: OutputMessage
  readonly #events: Events
  #part: OutputPart | null = null
  #tellDelta: (own: string) => string = () => ''

  constructor(address: ItemAddress, events: Events) {
    this.address = address
    this.#events = events
    this.item = {
      id: address.item_id,
      type: 'message',
      role: 'assistant',
      status: 'in_progress',
      content: [],
    }
  }

  text(text: string, logprobs: TokenLogprob[] = []): string {
    let frames = ''
    if (this.#part?.type !== 'output_text') {
      frames = this.#begin({ type: 'output_text', text: '', annotations: [], logprobs: [] })
    }
    const told = logprobs.map(logprobBody)
    if (this.#part?.type === 'output_text') {
      this.#part.text += text
      this.#part.logprobs.push(...told)
    }
    const own = `"delta":${JSON.stringify(text)},"logprobs":${JSON.stringify(told)}`
    return frames + this.#tellDelta(own)
  }

  refusal(text: string): string {
    let frames = ''
    if (this.#part?.type !== 'refusal') frames = this.#begin({ type: 'refusal', refusal: '' })
    if (this.#part?.type === 'refusal') this.#part.refusal += text
    return frames + this.#tellDelta(`"delta":${JSON.stringify(text)}`)
  }

  end(status: ItemStatus): string {
    this.item.status = status
    return this.#endPart()
  }

  #begin(part: OutputPart): string {
    const ended = this.#endPart()
    this.#part = part
    this.item.content.push(part)
    const at = this.#at()
    this.#tellDelta = this.#events.repeat(`response.${part.type}.delta`, at)
    return ended + this.#events.tell('response.content_part.added', { ...at, part })
  }

  #endPart(): string {
    const part = this.#part
    if (!part) return ''
    const at = this.#at()
    this.#part = null
    const done =
      part.type === 'output_text'
        ? this.#events.tell('response.output_text.done', {
            ...at,
            text: part.text,
            logprobs: part.logprobs,
          })
        : this.#events.tell('response.refusal.done', { ...at, refusal: part.refusal })
    return done + this.#events.tell('response.content_part.done', { ...at, part })
  }

  #at() {
    return { ...this.address, content_index: this.item.content.length - 1 }
  }
}

function logprobBody({ token, logprob, bytes, top }: TokenLogprob) {
  const top_logprobs = top.map((other) => ({
    token: other.token,
    logprob: other.logprob,
    bytes: other.bytes,
  }))
  return { token, logprob, bytes, top_logprobs }
}
