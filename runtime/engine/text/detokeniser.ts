// Turns tokens into text, one by one: whole characters only, at a cost that does not depend on what came before.

import type { TokenBytes } from './token-bytes.ts'

export class Detokeniser {
  readonly #tokenBytes: TokenBytes
  // Bytes that begin a character wait inside for the rest of it; what can't become one turns into U+FFFD.
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  #stripsSpace: boolean

  /** @param isContinuation the tokens follow a text, so that a space at their front is one */
  constructor(tokenBytes: TokenBytes, isContinuation: boolean) {
    this.#tokenBytes = tokenBytes
    this.#stripsSpace = tokenBytes.stripsLeadingSpace && !isContinuation
  }

  /** @returns the characters that this token completes */
  push(id: number): string {
    if (this.#tokenBytes.isSpecial(id)) return ''
    return this.#strip(this.#decoder.decode(this.#tokenBytes.of(id), { stream: true }))
  }

  /** @returns what is left where the tokens end inside a character */
  end(): string {
    return this.#strip(this.#decoder.decode())
  }

  #strip(text: string): string {
    if (!this.#stripsSpace || text === '') return text
    this.#stripsSpace = false
    return text.startsWith(' ') ? text.slice(1) : text
  }
}
