// Bytes of an event stream to its events.
//
// eventsource-parser knows the format: line ends of all kinds, several lines of data, comments, a byte order mark. What
// is added here is that characters may be spread over chunks, that an event has a bound, and that the last one may lack
// its empty line. Whether a stream came to its end is said by the events and not by the bytes: that is for the dialects.
//
// Knows: bytes and events. Does not know: HTTP, what is in the events.

import { StringDecoder } from 'node:string_decoder'

import { createParser } from 'eventsource-parser'
import type { EventSourceParser } from 'eventsource-parser'

export interface ServerEvent {
  /** absent where the stream does not name it */
  event?: string | undefined
  data: string
}

/**
 * Most characters of one event. An image in base64 or the arguments of a tool call may be long; what never ends must
 * not fill the memory.
 */
const MAX_EVENT_CHARACTERS = 32 * 1024 * 1024

export class EventTooLong extends Error {
  override name = 'EventTooLong'
}

export class EventReader {
  readonly #decoder = new StringDecoder('utf8')
  readonly #parser: EventSourceParser
  #events: ServerEvent[] = []
  #isTooLong = false

  constructor(maxEventCharacters = MAX_EVENT_CHARACTERS) {
    this.#parser = createParser({
      maxBufferSize: maxEventCharacters,
      onEvent: (event) => this.#events.push(event),
      onError: (error) => {
        if (error.type === 'max-buffer-size-exceeded') this.#isTooLong = true
      },
    })
  }

  /** @throws EventTooLong */
  read(chunk: Buffer): ServerEvent[] {
    return this.#feed(this.#decoder.write(chunk))
  }

  /** What the stream ended in the middle of, as far as it came. @throws EventTooLong */
  end(): ServerEvent[] {
    return this.#feed(`${this.#decoder.end()}\n\n`)
  }

  #feed(text: string): ServerEvent[] {
    this.#parser.feed(text)
    if (this.#isTooLong) throw new EventTooLong('an event that is longer than is read')
    const events = this.#events
    if (events.length > 0) this.#events = []
    return events
  }
}
