// One runtime host, as this gateway sees it: whether it is up, what it has loaded, and how much of that is ours.
//
// Knows: what the host said last, and what came of asking it since. Does not know: other hosts, who wants what.

import { RuntimeError } from '../../runtime/client.ts'
import type { Runtime } from '../../runtime/client.ts'
import { servesVersion } from '../../runtime/protocol.ts'
import type { EngineStats, HostStats, VersionId } from '../../runtime/protocol.ts'

/** A host that doesn't say how it is within this time is not asked for anything that another can do. */
const LOOK_TIMEOUT_MS = 2_000

export class FleetHost {
  /** as the operator knows it */
  readonly name: string
  readonly runtime: Runtime
  /** requests of this gateway that it has now */
  open = 0
  #isUp = true
  #stats: HostStats | null = null
  #error: unknown = null
  #looking: Promise<HostStats | null> | null = null
  /** what was learnt since it said how it is */
  readonly #learnt = new Map<VersionId, boolean>()

  constructor(name: string, runtime: Runtime) {
    this.name = name
    this.runtime = runtime
  }

  /** false after it could not be reached, until it can */
  get isUp(): boolean {
    return this.#isUp
  }

  /** what it said last; null: nothing yet, or it is away */
  get stats(): HostStats | null {
    return this.#isUp ? this.#stats : null
  }

  /** why it is away */
  get error(): unknown {
    return this.#error
  }

  /** null where it has not said yet */
  serves(version: VersionId): boolean | null {
    if (!this.#isUp) return false
    const learnt = this.#learnt.get(version)
    if (learnt !== undefined) return learnt
    if (!this.#stats) return null
    return this.#engine(version)?.state === 'ready'
  }

  /** It is there, or on its way. */
  has(version: VersionId): boolean {
    const state = this.#engine(version)?.state
    return state === 'ready' || state === 'loading' || state === 'restarting'
  }

  /** how busy it is with a version: requests for each slot, ours or as it said */
  pressure(version: VersionId): number {
    const engine = this.#engine(version)
    if (!engine) return this.open
    return Math.max(this.open, engine.running + engine.waiting) / Math.max(1, engine.slots)
  }

  learn(version: VersionId, isServed: boolean): void {
    this.#learnt.set(version, isServed)
  }

  /** @param error what whoever asked it got */
  noticeFailure(version: VersionId, error: unknown): void {
    if (isAway(error)) this.#goAway(error)
    else if (error instanceof RuntimeError && error.code === 'version_not_loaded') {
      this.learn(version, false)
    }
  }

  /** @returns null where it is away */
  async look(): Promise<HostStats | null> {
    // An answer that is on its way may be older than what the asker knows.
    await this.#looking
    return (this.#looking ??= this.#look().finally(() => (this.#looking = null)))
  }

  async #look(): Promise<HostStats | null> {
    const { promise: late, reject } = Promise.withResolvers<never>()
    const message = `The runtime ${this.name} has not answered within ${LOOK_TIMEOUT_MS / 1000} s.`
    const timer = setTimeout(
      () => reject(new RuntimeError({ code: 'runtime_unreachable', message })),
      LOOK_TIMEOUT_MS,
    )
    try {
      this.#stats = await Promise.race([this.runtime.stats(), late])
      this.#learnt.clear()
      this.#isUp = true
      this.#error = null
    } catch (error) {
      this.#goAway(error)
    } finally {
      clearTimeout(timer)
    }
    return this.stats
  }

  #goAway(error: unknown): void {
    this.#isUp = false
    this.#stats = null
    this.#error = error
    this.#learnt.clear()
  }

  #engine(version: VersionId): EngineStats | undefined {
    return this.stats?.engines.find((engine) => servesVersion(engine, version))
  }
}

/** It can't be asked for anything now. */
function isAway(error: unknown): boolean {
  return error instanceof RuntimeError && error.code === 'runtime_unreachable'
}
