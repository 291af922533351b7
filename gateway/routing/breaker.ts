// A circuit breaker: a target that keeps failing is left alone for a while, then asked by one request at a time.
//
// It opens after several failures in a row, or when most of a window's requests failed; each opening without a success in
// between lasts twice as long. A target that says when it wants to be asked again is believed.
//
// Knows: successes, failures, time. Does not know: targets, why they failed.

/** failures in a row; a single one may be anything */
const IN_A_ROW = 5
/** of the window's requests, where there were enough to tell */
const FAILED_SHARE = 0.5
const ENOUGH = 20
const WINDOW_MS = 30_000
const FIRST_OPEN_MS = 5_000
const MAX_OPEN_MS = 120_000
/** of what the target itself asks for: an hour's quota must not outlive its reset by a mistaken header */
const MAX_ASKED_MS = 600_000

export type BreakerState = 'closed' | 'open' | 'half_open'

export class Breaker {
  readonly #now: () => number
  #inARow = 0
  #windowStartMs: number
  #failed = 0
  #all = 0
  #openUntilMs = -Infinity
  #openMs = FIRST_OPEN_MS
  #isOpen = false
  #isProbing = false

  /** @param now milliseconds, monotonic */
  constructor(now: () => number) {
    this.#now = now
    this.#windowStartMs = now()
  }

  get state(): BreakerState {
    if (!this.#isOpen) return 'closed'
    return this.#now() < this.#openUntilMs ? 'open' : 'half_open'
  }

  /** when a request may be tried again; in the past where one may now */
  get retryAtMs(): number {
    return this.#isOpen ? this.#openUntilMs : -Infinity
  }

  get allows(): boolean {
    const { state } = this
    return state === 'closed' || (state === 'half_open' && !this.#isProbing)
  }

  /** A request is sent; while the breaker is half open, it is the only one. */
  asked() {
    if (this.#isOpen) this.#isProbing = true
  }

  succeeded() {
    this.#count(false)
    this.#inARow = 0
    this.#isProbing = false
    this.#isOpen = false
    this.#openMs = FIRST_OPEN_MS
  }

  failed() {
    this.#count(true)
    this.#inARow++
    if (this.#isProbing) return this.#open(this.#openMs)
    const mostFailed = this.#all >= ENOUGH && this.#failed >= this.#all * FAILED_SHARE
    if (!this.#isOpen && (this.#inARow >= IN_A_ROW || mostFailed)) this.#open(this.#openMs)
  }

  /** The request ended without saying anything about the target: its client left, or it was refused for what it asked. */
  undecided() {
    this.#isProbing = false
  }

  /** The target wants to be left alone that long. */
  pause(ms: number) {
    this.#isProbing = false
    this.#isOpen = true
    this.#openUntilMs = Math.max(this.#openUntilMs, this.#now() + Math.min(ms, MAX_ASKED_MS))
  }

  #open(ms: number) {
    this.#isOpen = true
    this.#isProbing = false
    this.#openUntilMs = this.#now() + ms
    this.#openMs = Math.min(2 * ms, MAX_OPEN_MS)
    this.#inARow = 0
    this.#failed = 0
    this.#all = 0
  }

  #count(isFailure: boolean) {
    const now = this.#now()
    if (now - this.#windowStartMs > WINDOW_MS) {
      this.#windowStartMs = now
      this.#failed = 0
      this.#all = 0
    }
    this.#all++
    if (isFailure) this.#failed++
  }
}
