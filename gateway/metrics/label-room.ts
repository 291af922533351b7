// Room for the values of labels: as many as this, and what comes after them is `other`.
//
// What becomes a label exists somewhere (a declared model, a version, a route), but nothing bounds how many of them a
// process sees in its life, and each costs every histogram a series for each bucket. So there is an end to it here, whatever
// anybody declares, deploys or answers with.
//
// Knows: texts. Does not know: which metric has them.

const OTHER = 'other'

export class LabelRoom {
  readonly #most: number
  readonly #known = new Map<string, readonly string[]>()
  #overflown = 0

  /** @param most combinations of values */
  constructor(most: number) {
    this.#most = most
  }

  /** times that there was no room */
  get overflown(): number {
    return this.#overflown
  }

  /** @returns the values where there is room for them together, else `other` for each that isn't empty */
  fit<Values extends readonly string[]>(...values: Values): Values {
    const name = values.join('\n')
    const known = this.#known.get(name)
    if (known) return known as Values
    if (this.#known.size < this.#most) {
      this.#known.set(name, values)
      return values
    }
    this.#overflown++
    const others: readonly string[] = values.map((value) => (value === '' ? '' : OTHER))
    return others as Values
  }
}
