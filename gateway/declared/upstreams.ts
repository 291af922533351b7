// The backends of declared upstreams: made when they appear, kept while their declaration stays the same, closed when
// it changes and their last request has ended.
//
// Knows: declarations, backends. Does not know: how one is asked, routes.

import type { Backend } from '../backends/backend.ts'
import type { DeclaredUpstream } from './schema.ts'

export interface DeclaredBackend extends Backend {
  /** milliseconds since 1970; null where it has no certificate, or was not asked yet */
  readonly certificateEndsMs: number | null
  /** Takes no more requests; resolves when those that run have ended. */
  retire(): Promise<void>
  /** Cuts what runs. */
  close(): Promise<void>
}

export type MakeBackend = (upstream: DeclaredUpstream) => DeclaredBackend

/** a request that found its route before a change asks its target, and asks again, for at most about this long */
const RETIRE_MS = 30_000

interface Made {
  /** the declaration it was made of */
  key: string
  backend: DeclaredBackend
}

export class Upstreams {
  readonly #make: MakeBackend
  #made = new Map<string, Made>()
  /** that requests may still be with */
  readonly #retired = new Set<DeclaredBackend>()

  constructor(make: MakeBackend) {
    this.#make = make
  }

  get(name: string): Backend | undefined {
    return this.#made.get(name)?.backend
  }

  /** Of those that have one and were asked. */
  *certificates(): Iterable<{ upstream: string; endsMs: number }> {
    for (const [upstream, { backend }] of this.#made) {
      const endsMs = backend.certificateEndsMs
      if (endsMs !== null) yield { upstream, endsMs }
    }
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
    for (const { backend } of gone) {
      this.#retired.add(backend)
      setTimeout(() => void this.#retire(backend), RETIRE_MS).unref()
    }
  }

  async close(): Promise<void> {
    const made = [...this.#made.values()].map(({ backend }) => backend)
    await Promise.allSettled([...made, ...this.#retired].map((backend) => backend.close()))
  }

  async #retire(backend: DeclaredBackend): Promise<void> {
    await backend.retire().catch(() => {})
    this.#retired.delete(backend)
  }
}
