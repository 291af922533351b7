// What engines counted, added up over the hosts that a version runs on, in a way that only grows.
//
// A sum would fall when a host is away, and Prometheus takes a counter that falls for one that has begun anew: all that the
// other hosts ever counted would have happened in that moment, restarts among it. So each host's figures are added by what
// they grew. An engine that began anew counts from zero.
//
// Knows: figures by host and version. Does not know: what they are figures of.

export class EngineTotals {
  /** what each host said last, by host and version; it stays while the host is away */
  readonly #last = new Map<string, readonly number[]>()
  readonly #totals = new Map<string, number[]>()

  /**
   * @param figures of one engine, always in the same order
   * @param isNew nothing was known of the version before this look; else what a host counted before it was seen is no news
   */
  add(host: string, version: string, figures: readonly number[], isNew: boolean): void {
    const name = `${host}\n${version}`
    const last = this.#last.get(name) ?? (isNew ? [] : figures)
    const total = this.#totals.get(version) ?? figures.map(() => 0)
    for (const [index, figure] of figures.entries()) {
      const before = last[index] ?? 0
      total[index]! += figure >= before ? figure - before : figure
    }
    this.#last.set(name, figures)
    this.#totals.set(version, total)
  }

  of(version: string): readonly number[] {
    return this.#totals.get(version) ?? []
  }
}
