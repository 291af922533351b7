// Which versions somebody wants resident on this host: what each gateway said last, for as long as it goes on saying it.
//
// A gateway that dies says nothing more, and what only it wanted is wanted no longer soon after.
//
// Knows: names of gateways, versions, times. Does not know: engines.

import type { VersionId, WantRequest } from '../protocol.ts'

export class Wants {
  readonly #lists = new Map<string, { versions: Set<VersionId>; until: number }>()
  readonly #now: () => number

  /** @param now milliseconds */
  constructor(now: () => number) {
    this.#now = now
  }

  set({ by, versions, forMs }: WantRequest): void {
    this.#forget()
    this.#lists.set(by, { versions: new Set(versions), until: this.#now() + forMs })
  }

  has(version: VersionId): boolean {
    this.#forget()
    for (const { versions } of this.#lists.values()) if (versions.has(version)) return true
    return false
  }

  #forget(): void {
    for (const [by, { until }] of this.#lists) if (until <= this.#now()) this.#lists.delete(by)
  }
}
