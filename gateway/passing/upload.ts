// A body that goes on to an upstream while it comes in: however large it is, little of it is in memory.
//
// It can be sent once. Until its first piece was asked for nothing has left, and another attempt may have it.
//
// Knows: bytes, a bound. Does not know: HTTP clients, routes.

import { Readable } from 'node:stream'

import { GatewayError } from '../errors.ts'

export interface UploadOptions {
  maxBytes: number
  /** `content-length`, where the client says it */
  declaredBytes: number | null
  /** a piece goes on */
  onPiece: () => void
  /** there is more than is taken: nobody is to have the first part of it */
  onTooLarge: (error: GatewayError) => void
}

export class Upload {
  readonly #payload: Readable
  readonly #options: UploadOptions
  #hasBegun = false

  /** @throws GatewayError `body_too_large`, where the client says so itself */
  constructor(payload: Readable, options: UploadOptions) {
    const { declaredBytes, maxBytes } = options
    this.#payload = payload
    this.#options = options
    if (declaredBytes !== null && declaredBytes > maxBytes) throw tooLarge(maxBytes, declaredBytes)
  }

  /** something of it has left, or may have */
  get hasBegun(): boolean {
    return this.#hasBegun
  }

  /** For one attempt; what its reader makes of it leaves the client's connection alone. */
  stream(): Readable {
    return Readable.from(this.#pieces(), { objectMode: false })
  }

  /** Whoever is refused can be told only if what is left of the body has somewhere to go. */
  drop() {
    this.#payload.resume()
  }

  async *#pieces(): AsyncGenerator<Buffer> {
    const { maxBytes, onPiece, onTooLarge } = this.#options
    this.#hasBegun = true
    let bytes = 0
    for await (const piece of this.#payload.iterator({ destroyOnReturn: false })) {
      bytes += (piece as Buffer).length
      if (bytes > maxBytes) {
        const error = tooLarge(maxBytes, null)
        onTooLarge(error)
        throw error
      }
      onPiece()
      yield piece as Buffer
    }
  }
}

function tooLarge(maxBytes: number, declared: number | null): GatewayError {
  const given = declared === null ? '' : `; this one has ${declared}`
  return new GatewayError(
    'body_too_large',
    `The upload is too large: at most ${maxBytes} bytes are allowed${given}.`,
  )
}
