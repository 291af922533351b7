// The texts that wait to be computed, and which of them are computed together.
//
// A batch costs what its longest text costs times their number, so that it is made of texts of like length. It begins with
// one whose turn it is, and is filled up with those nearest to it in length, whoever sent them. Turns alternate: the text
// of whoever has been served least (so that a short request is in the next batch but one, whatever waits beside it), then
// the one that came first (so that nobody waits for ever).
//
// Knows: lengths, owners, order. Does not know: tokens, tensors, time.

export interface Waiting<Owner> {
  owner: Owner
  /** tokens */
  length: number
  /** in the order of arrival */
  nth: number
}

interface Served {
  /** tokens that have been computed for it */
  tokens: number
  waiting: number
}

export class Pool<Owner, Text extends Waiting<Owner>> {
  readonly #budget: number
  /** shortest first; among equals, first come first */
  readonly #byLength: Text[] = []
  readonly #served = new Map<Owner, Served>()
  #tokens = 0
  #turns = 0

  /** @param budget most places of a batch: its texts times the longest of them; a text that is longer goes alone */
  constructor(budget: number) {
    this.#budget = budget
  }

  get size(): number {
    return this.#byLength.length
  }

  /** of all that waits */
  get tokens(): number {
    return this.#tokens
  }

  add(text: Text): void {
    this.#byLength.splice(this.#placeOf(text), 0, text)
    this.#tokens += text.length
    const served = this.#served.get(text.owner) ?? { tokens: 0, waiting: 0 }
    served.waiting++
    this.#served.set(text.owner, served)
  }

  /** Drops what waits for an owner, who is forgotten. */
  remove(owner: Owner): void {
    let kept = 0
    for (const text of this.#byLength) {
      if (text.owner === owner) this.#tokens -= text.length
      else this.#byLength[kept++] = text
    }
    this.#byLength.length = kept
    this.#served.delete(owner)
  }

  /** Takes a batch out; empty where nothing waits. */
  take(): Text[] {
    const first = this.#turn()
    if (first === null) return []
    let [from, to] = [first, first + 1]
    for (;;) {
      const [next, isShorter] = this.#nearest(first, from, to)
      if (next === null) break
      const longest = Math.max(this.#byLength[to - 1]!.length, next.length)
      if ((to - from + 1) * longest > this.#budget) break
      if (isShorter) from--
      else to++
    }
    const batch = this.#byLength.splice(from, to - from)
    for (const { owner, length } of batch) {
      this.#tokens -= length
      const served = this.#served.get(owner)!
      served.tokens += length
      served.waiting--
    }
    return batch
  }

  /** An owner has all that it asked for. */
  forget(owner: Owner): void {
    this.#served.delete(owner)
  }

  /** @throws where an invariant is broken */
  check(): void {
    const tokens = this.#byLength.reduce((sum, { length }) => sum + length, 0)
    const isSorted = this.#byLength.every(
      (text, index) => index === 0 || isBefore(this.#byLength[index - 1]!, text),
    )
    const waiting = [...this.#served.values()].reduce((sum, served) => sum + served.waiting, 0)
    if (isSorted && tokens === this.#tokens && waiting === this.size) return
    throw new Error(`The pool of ${this.size} texts is out of order. This is a bug.`)
  }

  /** @returns the place of the text whose turn it is */
  #turn(): number | null {
    const isOfLeastServed = this.#turns++ % 2 === 0
    let best: number | null = null
    for (const [place, text] of this.#byLength.entries()) {
      const other = best === null ? null : this.#byLength[best]!
      if (other === null || this.#goesFirst(text, other, isOfLeastServed)) best = place
    }
    return best
  }

  #goesFirst(a: Text, b: Text, isByService: boolean): boolean {
    if (isByService) {
      const difference = this.#served.get(a.owner)!.tokens - this.#served.get(b.owner)!.tokens
      if (difference !== 0) return difference < 0
    }
    return a.nth < b.nth
  }

  /** The text outside from…to that is nearest in length to the first. */
  #nearest(first: number, from: number, to: number): [text: Text | null, isShorter: boolean] {
    const shorter = this.#byLength[from - 1] ?? null
    const longer = this.#byLength[to] ?? null
    if (shorter === null || longer === null) return [shorter ?? longer, longer === null]
    const { length } = this.#byLength[first]!
    const isShorter = length - shorter.length <= longer.length - length
    return [isShorter ? shorter : longer, isShorter]
  }

  #placeOf(text: Text): number {
    let [low, high] = [0, this.#byLength.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (isBefore(this.#byLength[middle]!, text)) low = middle + 1
      else high = middle
    }
    return low
  }
}

function isBefore(a: Waiting<unknown>, b: Waiting<unknown>): boolean {
  return a.length === b.length ? a.nth < b.nth : a.length < b.length
}
