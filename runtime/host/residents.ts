// The engines of a host, the adapters in them, and who may go when room is needed.
//
// Knows: versions, what gateways want. Does not know: folders, memory, how an engine is loaded or ended.

import { Wants } from './wants.ts'
import type { VersionId, WantRequest } from '../protocol.ts'
import type { Engine } from './engine.ts'

export class Residents {
  readonly #engines = new Map<VersionId, Engine>()
  /** adapter → the version whose engine has taken it in */
  readonly #bases = new Map<VersionId, VersionId>()
  // Not by the clock on the wall: when a machine wakes up, gateways had no time to say it again.
  readonly #wants = new Wants(() => performance.now())

  /** The version's own engine. */
  get(version: VersionId): Engine | undefined {
    return this.#engines.get(version)
  }

  [Symbol.iterator](): Iterator<Engine> {
    return this.#engines.values()
  }

  /** The engine that answers for a version: its own, or that of its base. */
  serving(version: VersionId): Engine | undefined {
    return this.#engines.get(this.#bases.get(version) ?? version)
  }

  hasAdapter(version: VersionId): boolean {
    return this.#bases.has(version)
  }

  add(engine: Engine): void {
    this.#engines.set(engine.version, engine)
  }

  /** Forgets an engine, and with it the adapters that were in it. */
  remove(engine: Engine): void {
    const { version } = engine
    // Another may have its place by now.
    if (this.#engines.get(version) !== engine) return
    this.#engines.delete(version)
    for (const adapter of this.#adaptersOf(version)) this.#bases.delete(adapter)
  }

  addAdapter(version: VersionId, base: VersionId): void {
    this.#bases.set(version, base)
  }

  removeAdapter(version: VersionId): void {
    this.#bases.delete(version)
  }

  want(request: WantRequest): void {
    this.#wants.set(request)
  }

  /** Whoever wants an adapter wants the engine that it is in. */
  isWanted(version: VersionId): boolean {
    return [version, ...this.#adaptersOf(version)].some((id) => this.#wants.has(id))
  }

  /** Nothing would miss it at this moment, or it is going already. */
  mayGo(version: VersionId): boolean {
    const engine = this.#engines.get(version)
    if (!engine || engine.state === 'draining') return true
    return engine.isIdle && !this.isWanted(version)
  }

  #adaptersOf(base: VersionId): VersionId[] {
    return [...this.#bases].filter(([, each]) => each === base).map(([adapter]) => adapter)
  }
}
