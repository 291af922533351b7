// What was taken within the last stretch of time: at most `limit` in any such stretch, not in each minute of the clock.
//
// A fixed window lets twice the limit through around its edge, and a token bucket that holds a minute's worth does so in
// its first minute. Here amounts are kept by the tenth of a second, and one counts until the whole of its tenth has
// left the window: never more than the limit, and at most a six-hundredth less. The Lua of take.lua is the same.
//
// Knows: numbers. Does not know: whose they are, the clock.

/** 600 of them at most in a minute's window; a coarser one gives room back later, a finer one costs memory */
const RESOLUTION_MS = 100

export class SlidingWindow {
  readonly #windowMs: number
  /** slot of time → amount, oldest first */
  readonly #slots = new Map<number, number>()
  #used = 0
  #lastSlot = 0

  constructor(windowMs: number) {
    this.#windowMs = windowMs
  }

  used(nowMs: number): number {
    for (const [slot, amount] of this.#slots) {
      if (this.#leavesMs(slot) > nowMs) break
      this.#slots.delete(slot)
      this.#used -= amount
    }
    return this.#used
  }

  /** @returns the slot, for correct() */
  add(amount: number, nowMs: number): number {
    // A clock that is set back must not break the order.
    const slot = Math.max(Math.floor(nowMs / RESOLUTION_MS), this.#lastSlot)
    this.#lastSlot = slot
    this.#slots.set(slot, (this.#slots.get(slot) ?? 0) + amount)
    this.#used += amount
    return slot
  }

  /** What turned out otherwise; nothing once the slot has left the window: what is in it now is others'. */
  correct(slot: number, change: number): void {
    const amount = this.#slots.get(slot)
    if (amount === undefined) return
    this.#slots.set(slot, amount + change)
    this.#used += change
  }

  /** milliseconds until so much of it has left; null where that is more than all */
  waitFor(amount: number, nowMs: number): number | null {
    let left = 0
    for (const [slot, taken] of this.#slots) {
      left += taken
      if (left >= amount) return this.#leavesMs(slot) - nowMs
    }
    return null
  }

  /** milliseconds until nothing is in it any more */
  resetMs(nowMs: number): number {
    return this.#slots.size === 0 ? 0 : Math.max(0, this.#leavesMs(this.#lastSlot) - nowMs)
  }

  #leavesMs(slot: number): number {
    return (slot + 1) * RESOLUTION_MS + this.#windowMs
  }
}
