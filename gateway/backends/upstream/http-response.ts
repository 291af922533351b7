// An upstream's answer, read in the way that its reader wants: as JSON, as a text, as events, or as it comes.
//
// Everything but the raw bytes is decompressed on the way, piece by piece, and bounded after that. Whoever stops before
// the end has to close it, which closes the connection: the rest of an answer that nobody reads is money.
//
// Knows: bodies and encodings. Does not know: undici, what the bodies say.

import { decompress, isCompressed } from './decompress.ts'
import { quoteOf, UpstreamFault } from './fault.ts'
import { EventReader, EventTooLong } from './sse.ts'
import type { Arrival, Head } from './http-arrival.ts'
import type { ServerEvent } from './sse.ts'

interface Parts {
  head: Head
  arrival: Arrival
  /** of the upstream, as a subject of sentences */
  name: string
  signal: AbortSignal
  faultOf: (error: unknown) => UpstreamFault
  redact: (text: string) => string
}

/** A thousand embeddings of 3,072 numbers in decimals are 60 MB; they are in memory several times over. */
const MAX_JSON_BYTES = 128 * 1024 * 1024
const MAX_TEXT_BYTES = 64 * 1024
/** enough of what can't be read to recognise it */
const QUOTED_CHARACTERS = 120

export class UpstreamResponse {
  readonly status: number
  readonly headers: Record<string, string>
  readonly #parts: Parts
  readonly #source: Chunks
  #reader: EventReader | null = null
  #hasEnded = false
  #isReleased = false

  constructor(parts: Parts) {
    this.#parts = parts
    this.status = parts.head.status
    this.headers = plain(parts.head.headers)
    const encoding = this.headers['content-encoding']
    this.#source = isCompressed(encoding)
      ? chunksOf(decompress(parts.arrival, encoding))
      : parts.arrival
  }

  /** @throws UpstreamFault, `malformed` where it is none; or the signal's reason */
  async json(maxBytes = MAX_JSON_BYTES): Promise<unknown> {
    const text = (await this.#whole(maxBytes, true)).toString()
    try {
      return JSON.parse(text)
    } catch {
      throw this.malformed('sent something that is not JSON', text)
    }
  }

  /** As much of the body as fits, and as came: for what is quoted. @throws the signal's reason */
  async text(maxBytes = MAX_TEXT_BYTES): Promise<string> {
    try {
      return (await this.#whole(maxBytes, false)).toString()
    } catch (error) {
      if (this.#parts.signal.aborted) throw error
      return ''
    }
  }

  /**
   * The events since the last call, as soon as there are any; null after the last. The way without an object and a
   * promise for each event.
   *
   * @throws UpstreamFault, or the signal's reason
   */
  async nextEvents(): Promise<ServerEvent[] | null> {
    if (this.#hasEnded) return null
    const reader = (this.#reader ??= new EventReader())
    try {
      for (;;) {
        const chunks = await this.#source.take()
        if (!chunks) {
          this.#hasEnded = true
          const rest = reader.end()
          return rest.length > 0 ? rest : null
        }
        let events: ServerEvent[] | null = null
        for (const chunk of chunks) {
          const read = reader.read(chunk)
          if (read.length > 0) events = events ? events.concat(read) : read
        }
        if (events) return events
      }
    } catch (error) {
      throw this.#thrown(error)
    }
  }

  /** The events, one by one; leaving the iteration closes the connection. */
  async *events(): AsyncGenerator<ServerEvent, void> {
    try {
      for (let batch; (batch = await this.nextEvents());) yield* batch
    } finally {
      this.close()
    }
  }

  /** The body as it came, with its encoding; leaving the iteration closes the connection. */
  async *raw(): AsyncGenerator<Buffer, void> {
    try {
      for (let chunks; (chunks = await this.#parts.arrival.take());) yield* chunks
    } catch (error) {
      throw this.#thrown(error)
    } finally {
      this.close()
    }
  }

  /** Reads no more: the connection is closed unless the answer has ended, or was released. */
  close(): void {
    if (!this.#isReleased) this.#parts.arrival.abort(CLOSED)
  }

  /** Whoever has all that was wanted leaves so: the connection is kept where the answer ends soon. */
  release(): void {
    this.#isReleased = true
    this.#parts.arrival.drain()
  }

  /** @param text what was received, to be quoted in part */
  malformed(what: string, text: string): UpstreamFault {
    const { name, redact } = this.#parts
    const quote = JSON.stringify(quoteOf(redact(text), QUOTED_CHARACTERS))
    return new UpstreamFault('malformed', `${name} ${what}.`, { quote })
  }

  /** For what is missing rather than wrong. */
  cut(what: string): UpstreamFault {
    return new UpstreamFault('cut', `${this.#parts.name} ${what}.`)
  }

  async #whole(maxBytes: number, isWhole: boolean): Promise<Buffer> {
    const all: Buffer[] = []
    let size = 0
    try {
      for (let chunks; (chunks = await this.#source.take());) {
        for (const chunk of chunks) {
          all.push(chunk)
          size += chunk.length
        }
        if (size <= maxBytes) continue
        this.close()
        if (isWhole) {
          throw new UpstreamFault(
            'malformed',
            `${this.#parts.name} sent a body of more than the ${maxBytes} bytes that are read.`,
          )
        }
        break
      }
    } catch (error) {
      throw this.#thrown(error)
    }
    const body = all.length === 1 && all[0] ? all[0] : Buffer.concat(all)
    return body.length > maxBytes ? body.subarray(0, maxBytes) : body
  }

  #thrown(error: unknown): unknown {
    const { signal, name, faultOf } = this.#parts
    this.close()
    if (signal.aborted) return signal.reason
    if (error instanceof EventTooLong) {
      return new UpstreamFault('malformed', `${name} sent ${error.message}.`)
    }
    return faultOf(error)
  }
}

const CLOSED = new Error('nobody reads the answer any more')

interface Chunks {
  take(): Promise<Buffer[] | null>
}

function chunksOf(source: AsyncGenerator<Buffer>): Chunks {
  return {
    async take() {
      const { done, value } = await source.next()
      return done ? null : [value]
    },
  }
}

function plain(headers: Head['headers']): Record<string, string> {
  const record: Record<string, string> = {}
  for (const name in headers) {
    const value = headers[name]
    if (value !== undefined) record[name] = typeof value === 'string' ? value : value.join(', ')
  }
  return record
}
