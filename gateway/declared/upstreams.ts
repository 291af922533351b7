// The backends of declared upstreams: made when they appear, kept while their declaration stays the same, closed when
// it changes and their last request has ended.
//
// Knows: declarations, backends. Does not know: how one is asked, routes.

import type { Backend } from '../backends/backend.ts'
import type { DeclaredUpstream } from './schema.ts'

export interface ClosableBackend extends Backend {
  /** Lets what runs end. */
  close(): Promise<void>
}

export type MakeBackend = (upstream: DeclaredUpstream) => ClosableBackend

interface Made {
  /** the declaration it was made of */
  key: string
  backend: ClosableBackend
}

export class Upstreams {
  readonly #make: MakeBackend
  #made = new Map<string, Made>()

  constructor(make: MakeBackend) {
    this.#make = make
  }

  get(name: string): Backend | undefined {
    return this.#made.get(name)?.backend
  }

  /** @throws what making one throws, with nothing changed */
  replace(declared: Record<string, DeclaredUpstream>): void {
    const next = new Map<string, Made>()
    for (const [name, upstream] of Object.entries(declared)) {
      const key = JSON.stringify(upstream)
      const before = this.#made.get(name)
      next.set(name, before?.key === key ? before : { key, backend: this.#make(upstream) })
    }
    const kept = new Set(next.values())
    const gone = [...this.#made.values()].filter((made) => !kept.has(made))
    this.#made = next
    // They end when their last request has; nobody waits for that.
    for (const { backend } of gone) void backend.close().catch(() => {})
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#made.values()].map(({ backend }) => backend.close()))
  }
}
