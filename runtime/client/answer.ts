// One NDJSON answer: filled by the HTTP client as bytes arrive, emptied by whoever iterates.
//
// There is no stream object in between. An abort is felt at once on both sides, whether the request still waits for a
// connection or is in the middle of its answer. A reader that falls behind stops the connection from being read.
//
// Knows: chunks, lines, one request's life. Does not know: events, codes, addresses.

import type { Dispatcher } from 'undici'

import { NdjsonReader } from './ndjson.ts'

/** Lines that may wait for the reader before the connection is paused. */
const MAX_WAITING = 1_024
const MAX_REFUSAL_BYTES = 64 * 1024

/** An answer with a status other than 200. */
export class RefusedAnswer extends Error {
  override name = 'RefusedAnswer'
  readonly status: number
  readonly body: string

  constructor(status: number, body: string) {
    super(`status ${status}`)
    this.status = status
    this.body = body
  }
}

export class Answer implements Dispatcher.DispatchHandler {
  readonly #reader = new NdjsonReader()
  #controller: Dispatcher.DispatchController | null = null
  #status = 0
  /** the body that came with a status other than 200, its bytes as latin1 */
  #refusal = ''
  #waiting: unknown[] = []
  #isOver = false
  /** what the iteration ends with after the last line; null for a clean end */
  #failure: Error | null = null
  #abortReason: { reason: unknown } | null = null
  #wake: (() => void) | null = null

  /** The runtime has begun to answer. */
  get hasBegun(): boolean {
    return this.#status !== 0
  }

  /** The iteration rejects with `reason` right away; a connection that is still in the answer is closed. */
  abort(reason: unknown): void {
    this.#abortReason ??= { reason }
    if (this.#isOver) return
    this.#controller?.abort(toError(reason))
    this.#end(null)
  }

  /**
   * The lines, parsed. Rejects with a RefusedAnswer, a MalformedLine, the HTTP client's own error, or the reason of an
   * abort; a connection that breaks is told after the lines that had arrived.
   */
  async *values(): AsyncGenerator<unknown, void> {
    for (;;) {
      const batch = this.#waiting
      this.#waiting = []
      if (this.#controller?.paused) this.#controller.resume()
      for (const value of batch) {
        yield value
        if (this.#abortReason) throw this.#abortReason.reason
      }
      if (this.#abortReason) throw this.#abortReason.reason
      if (this.#waiting.length > 0) continue
      if (this.#failure) throw this.#failure
      if (this.#isOver) return
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    // The request waited for a connection when it was aborted.
    if (this.#abortReason) controller.abort(toError(this.#abortReason.reason))
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    this.#status = status
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#isOver) return
    if (this.#status !== 200) {
      this.#refusal += chunk.toString('latin1', 0, MAX_REFUSAL_BYTES - this.#refusal.length)
      return
    }
    try {
      this.#reader.read(chunk, (value) => this.#waiting.push(value))
    } catch (error) {
      this.#end(toError(error))
      controller.abort(toError(error))
      return
    }
    if (this.#waiting.length > MAX_WAITING) controller.pause()
    this.#wakeReader()
  }

  onResponseEnd(): void {
    if (this.#status !== 200) {
      const body = Buffer.from(this.#refusal, 'latin1').toString()
      this.#end(new RefusedAnswer(this.#status, body))
    } else {
      this.#end(this.#reader.isWithinLine ? new Error('it ended within a line') : null)
    }
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#end(error)
  }

  #end(failure: Error | null): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#failure = failure
    this.#wakeReader()
  }

  #wakeReader(): void {
    this.#wake?.()
    this.#wake = null
  }
}

function toError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason), { cause: reason })
}
