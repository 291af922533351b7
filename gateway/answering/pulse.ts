// A sign of life on a stream that has begun: where nothing was sent for a while, a frame that says nothing is.
//
// Proxies cut connections that are silent, after a minute mostly, and a model may think for longer between two words.
//
// Knows: a socket, a frame. Does not know: what else is on the stream.

import type { ServerResponse } from 'node:http'

/** Anthropic's own servers send one about as often; a smaller figure costs bytes, a larger one meets shorter patience. */
export const PULSE_MS = 10_000

export class Pulse {
  readonly #timer: NodeJS.Timeout | null

  /** @param frame whole, as all that is written to the stream is; null: this stream has no word for it */
  constructor(response: ServerResponse, frame: string | null, everyMs: number) {
    this.#timer =
      frame === null
        ? null
        : // Who doesn't read what is there is told nothing more.
          setInterval(() => response.writableNeedDrain || response.write(frame), everyMs)
  }

  /** Something was sent. */
  beat() {
    this.#timer?.refresh()
  }

  stop() {
    if (this.#timer) clearInterval(this.#timer)
  }
}
