// For how long the oldest of what waits has waited, to the second, without a word about each.
//
// Knows: how many came until when, at most one mark a second. Does not know: what waits, where.

const APART_MS = 1_000
/** An hour of marks; what waits for longer is known less finely. */
const MOST_MARKS = 3_600

interface Mark {
  /** everything that had come then, and a second later at most */
  total: number
  /** when the first of it came */
  ms: number
}

export class Lag {
  readonly #now: () => number
  #marks: Mark[] = []

  /** @param now milliseconds since 1970 */
  constructor(now: () => number) {
    this.#now = now
  }

  /** @param total of all that came so far */
  appended(total: number) {
    const ms = this.#now()
    const last = this.#marks.at(-1)
    if (last && ms - last.ms < APART_MS) last.total = total
    else this.#marks.push({ total, ms })
    // What two marks said, the earlier time of them says.
    if (this.#marks.length > MOST_MARKS) {
      this.#marks = this.#marks.flatMap(({ ms }, index, all) =>
        index % 2 === 0 ? [{ total: all[index + 1]?.total ?? all[index]!.total, ms }] : [],
      )
    }
  }

  /** @param drained of all that came, in the order in which it came */
  ms(drained: number): number {
    const oldest = this.#marks.findIndex(({ total }) => total > drained)
    this.#marks.splice(0, oldest < 0 ? this.#marks.length : oldest)
    return oldest < 0 ? 0 : Math.max(0, this.#now() - this.#marks[0]!.ms)
  }
}
