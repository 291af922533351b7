// The versions that are adapters of this engine's base: where each is in the runner, and who still uses it.
//
// One that is dropped takes no new requests; its place is free when the last of its sequences has ended. Loaded again it is
// another: nothing that was computed before may be continued with it.
//
// Knows: versions and places. Does not know: requests, the memory that values lie in.

import type { PackedAdapter } from '../graph/packed-adapter.ts'
import type { Runner, RunnerAdapters } from './runner.ts'

export interface LoadedAdapter {
  readonly version: string
  /** in the runner */
  readonly place: number
}

interface Entry extends LoadedAdapter {
  /** sequences that go through it */
  users: number
  isDropped: boolean
}

export class EngineAdapters {
  readonly #runner: Pick<Runner, 'adapters'>
  readonly #entries = new Map<string, Entry>()

  constructor(runner: Pick<Runner, 'adapters'>) {
    this.#runner = runner
  }

  /** Opens what the first of them needs, beside the passes that run. @throws where the base takes none */
  async prepare(): Promise<void> {
    await this.#ofRunner().open()
  }

  /** @throws where the base takes none, or this one does not fit */
  add(version: string, adapter: PackedAdapter): void {
    if (this.#entries.has(version)) return
    const place = this.#ofRunner().add(adapter)
    this.#entries.set(version, { version, place, users: 0, isDropped: false })
  }

  drop(version: string): void {
    const entry = this.#entries.get(version)
    if (!entry) return
    this.#entries.delete(version)
    entry.isDropped = true
    this.#freeUnused(entry)
  }

  find(version: string): LoadedAdapter | null {
    return this.#entries.get(version) ?? null
  }

  use(adapter: LoadedAdapter): void {
    asEntry(adapter).users++
  }

  release(adapter: LoadedAdapter): void {
    const entry = asEntry(adapter)
    entry.users--
    this.#freeUnused(entry)
  }

  #ofRunner(): RunnerAdapters {
    const { adapters } = this.#runner
    if (adapters) return adapters
    throw new Error('the base was imported without room for adapters')
  }

  #freeUnused(entry: Entry): void {
    if (entry.isDropped && entry.users === 0) this.#runner.adapters?.remove(entry.place)
  }
}

const asEntry = (adapter: LoadedAdapter): Entry => adapter as Entry
