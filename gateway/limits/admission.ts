// How many requests the gateway has in hand at once: one more is refused at once, rather than waiting in a line that
// only grows.
//
// Knows: a number. Does not know: callers, models.

import { GatewayError } from '../errors.ts'

export class Admission {
  readonly #max: number
  #inHand = 0
  #refused = 0

  constructor(max: number) {
    this.#max = max
  }

  get inHand(): number {
    return this.#inHand
  }

  /** since the start */
  get refused(): number {
    return this.#refused
  }

  /**
   * @returns to be called when the request has ended; further calls do nothing
   * @throws GatewayError `overloaded`
   */
  enter(): () => void {
    if (this.#inHand >= this.#max) {
      this.#refused++
      throw new GatewayError(
        'overloaded',
        `The gateway has ${this.#max} requests in hand, as many as it takes. Try again shortly.`,
      )
    }
    this.#inHand++
    let hasLeft = false
    return () => {
      if (!hasLeft) this.#inHand--
      hasLeft = true
    }
  }
}
