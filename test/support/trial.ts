// Exchanges of a canary and of the version that it is compared with, made up from a seed, as figures for its guards.

import type { Durations, Figures, VersionFigures } from '../../gateway/canary/guards.ts'
import type { Guards } from '../../gateway/deployments/state.ts'
import type { Sums } from '../../gateway/canary/statistics/welch.ts'

/** What a version is like. */
export interface Manner {
  errors: number
  refusals: number
  /** median milliseconds to the first token; times are log-normal */
  timeToFirstToken: number
  total: number
  /** of ratings, how many are thumbs up */
  liked: number
}

export const GOOD: Manner = {
  errors: 0.01,
  refusals: 0.02,
  timeToFirstToken: 200,
  total: 2_000,
  liked: 0.8,
}

/** mulberry32: in [0, 1), the same for the same seed */
export function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const RATED = 0.1
const SPREAD = 0.5

class Side {
  readonly #manner: Manner
  readonly #random: () => number
  #errors = 0
  #all = 0
  #refusals = 0
  readonly first: number[] = []
  readonly total: number[] = []
  readonly #feedback: Sums = { count: 0, sum: 0, squares: 0 }

  constructor(manner: Manner, random: () => number) {
    this.#manner = manner
    this.#random = random
  }

  add() {
    const random = this.#random
    this.#all++
    if (random() < this.#manner.errors) {
      this.#errors++
      return
    }
    if (random() < this.#manner.refusals) this.#refusals++
    this.first.push(this.#around(this.#manner.timeToFirstToken))
    this.total.push(this.#around(this.#manner.total))
    if (random() >= RATED) return
    const value = random() < this.#manner.liked ? 1 : 0
    this.#feedback.count++
    this.#feedback.sum += value
    this.#feedback.squares += value
  }

  figures(): VersionFigures {
    return {
      errors: { count: this.#errors, of: this.#all },
      refusals: { count: this.#refusals, of: this.#all - this.#errors },
      timeToFirstToken: durationsOf(this.first),
      total: durationsOf(this.total),
      feedback: { ...this.#feedback },
    }
  }

  /** Box and Muller */
  #around(median: number): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.#random()))
    return median * Math.exp(SPREAD * radius * Math.cos(2 * Math.PI * this.#random()))
  }
}

export class Trial {
  readonly #canary: Side
  readonly #live: Side
  readonly #random: () => number

  constructor(canary: Manner, live: Manner, seed: number) {
    this.#random = randomOf(seed)
    this.#canary = new Side(canary, this.#random)
    this.#live = new Side(live, this.#random)
  }

  /** @param share of the exchanges that the canary gets */
  run(exchanges: number, share: number) {
    for (let i = 0; i < exchanges; i++) {
      if (this.#random() < share) this.#canary.add()
      else this.#live.add()
    }
  }

  figures({ timeToFirstToken = 1, total = 1 }: Guards): Figures {
    const [canary, live] = [this.#canary.figures(), this.#live.figures()]
    const above = (values: number[], { p95 }: Durations, factor: number) =>
      p95 === null ? 0 : values.filter((value) => value > p95 * factor).length
    return {
      canary,
      live,
      above: {
        timeToFirstToken: above(this.#canary.first, live.timeToFirstToken, timeToFirstToken),
        total: above(this.#canary.total, live.total, total),
      },
    }
  }
}

function durationsOf(values: number[]): Durations {
  const sorted = Float64Array.from(values).sort()
  return { count: values.length, p95: sorted[Math.ceil(0.95 * sorted.length) - 1] ?? null }
}
