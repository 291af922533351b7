// One answer on its way in: filled by the HTTP client as bytes arrive, emptied by whoever reads.
//
// There is no stream object in between: for an answer of fifty chunks that would be the larger part of the work. An
// abort is felt at once on both sides, whether the request still waits for a connection or is in the middle of its
// answer. A reader that falls behind stops the connection from being read, so that what waits is bounded.
//
// Knows: chunks, one request's life. Does not know: addresses, faults, what is in the chunks.

import type { IncomingHttpHeaders } from 'node:http'

import type { Dispatcher } from 'undici'

/** Bytes that may wait for the reader before the connection is paused: about what a socket hands over at once. */
const MAX_WAITING_BYTES = 64 * 1024

/** The end of a body comes with its last bytes; an upstream that says it is done and goes on is hung up on. */
const DRAIN_MS = 1_000

export interface Head {
  status: number
  headers: IncomingHttpHeaders
}

export class Arrival implements Dispatcher.DispatchHandler {
  readonly #head = Promise.withResolvers<Head>()
  readonly #onOver: () => void
  #controller: Dispatcher.DispatchController | null = null
  #hasBegun = false
  #waiting: Buffer[] = []
  #waitingBytes = 0
  #isOver = false
  /** what reading ends with after the last chunk; null for a clean end */
  #failure: Error | null = null
  #abortReason: { reason: unknown } | null = null
  #wake: (() => void) | null = null
  #patience: NodeJS.Timeout | null = null

  /** @param onOver called once, when nothing more comes */
  constructor(onOver: () => void) {
    this.#onOver = onOver
    // Whoever asks for the head is told; a request that was never sent has nobody who does.
    this.#head.promise.catch(() => {})
  }

  /** The upstream has begun to answer. */
  get hasBegun(): boolean {
    return this.#hasBegun
  }

  /** Rejects with the HTTP client's own error, or the reason of an abort. */
  get head(): Promise<Head> {
    return this.#head.promise
  }

  /** Reading rejects with `reason` right away; a connection that is still in the answer is closed. */
  abort(reason: unknown): void {
    this.#abortReason ??= { reason }
    if (this.#isOver) return
    // First, so that what the client makes of the abort comes too late to matter.
    this.#end(null)
    this.#head.reject(reason)
    this.#controller?.abort(toError(reason))
  }

  /** Nothing more is wanted, and little should come: what does is dropped, so that the connection can be kept. */
  drain(): void {
    if (this.#isOver || this.#patience) return
    this.#waiting = []
    if (this.#controller?.paused) this.#controller.resume()
    this.#patience = setTimeout(() => this.abort(new Error('its answer has no end')), DRAIN_MS)
    this.#patience.unref()
  }

  /**
   * The chunks since the last call, as soon as there is one; null after the last. Rejects with the HTTP client's own
   * error, after what had arrived, or with the reason of an abort.
   */
  async take(): Promise<Buffer[] | null> {
    for (;;) {
      if (this.#abortReason) throw this.#abortReason.reason
      if (this.#waiting.length > 0) {
        const chunks = this.#waiting
        this.#waiting = []
        this.#waitingBytes = 0
        if (this.#controller?.paused) this.#controller.resume()
        return chunks
      }
      if (this.#failure) throw this.#failure
      if (this.#isOver) return null
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    // The request waited for a connection when it was aborted.
    if (this.#abortReason) controller.abort(toError(this.#abortReason.reason))
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
  ): void {
    // 103 and its like come before the answer.
    if (status < 200) return
    this.#hasBegun = true
    this.#head.resolve({ status, headers })
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#isOver || this.#patience) return
    this.#waiting.push(chunk)
    this.#waitingBytes += chunk.length
    if (this.#waitingBytes > MAX_WAITING_BYTES) controller.pause()
    this.#wakeReader()
  }

  onResponseEnd(): void {
    this.#end(null)
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#isOver) return
    this.#end(error)
    this.#head.reject(error)
  }

  #end(failure: Error | null): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#failure = failure
    if (this.#patience) clearTimeout(this.#patience)
    this.#onOver()
    this.#wakeReader()
  }

  #wakeReader(): void {
    this.#wake?.()
    this.#wake = null
  }
}

export function toError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason), { cause: reason })
}
