// The versions that one engine takes in beside its base: which are there, who waits for one, and what a new process has to
// be told.
//
// Knows: versions, folders, what an engine answers about them. Does not know: processes, requests.

import type { RuntimeFailure, VersionId } from '../protocol.ts'

type Waiting = (failure: RuntimeFailure | null) => void

interface Adapter {
  folder: string
  isReady: boolean
  waiting: Waiting[]
}

export class Adapters {
  readonly #adapters = new Map<VersionId, Adapter>()
  readonly #tell: (version: VersionId, folder: string) => void

  /** @param tell hands one to the process */
  constructor(tell: (version: VersionId, folder: string) => void) {
    this.#tell = tell
  }

  get versions(): VersionId[] {
    return [...this.#adapters].filter(([, { isReady }]) => isReady).map(([version]) => version)
  }

  /** Somebody waits for one. */
  get isTaking(): boolean {
    return [...this.#adapters.values()].some(({ waiting }) => waiting.length > 0)
  }

  /** @param isRunning whether there is a process to tell; else it is told when there is */
  add(version: VersionId, folder: string, isRunning: boolean): Promise<RuntimeFailure | null> {
    const known = this.#adapters.get(version)
    if (known?.isReady) return Promise.resolve(null)
    const { promise, resolve } = Promise.withResolvers<RuntimeFailure | null>()
    if (known) {
      known.waiting.push(resolve)
    } else {
      this.#adapters.set(version, { folder, isReady: false, waiting: [resolve] })
      if (isRunning) this.#tell(version, folder)
    }
    return promise
  }

  /** @returns whether it was there */
  remove(version: VersionId): boolean {
    this.#settle(version, {
      code: 'version_not_loaded',
      message: `Version '${version}' was unloaded.`,
    })
    return this.#adapters.delete(version)
  }

  /** What the process says of one. */
  told(version: VersionId, failure: RuntimeFailure | null): void {
    const adapter = this.#adapters.get(version)
    if (!adapter) return
    adapter.isReady = failure === null
    this.#settle(version, failure)
    if (failure) this.#adapters.delete(version)
  }

  /** A process is ready that knows none of them. */
  tellAll(): void {
    for (const [version, { folder }] of this.#adapters) this.#tell(version, folder)
  }

  failAll(failure: RuntimeFailure): void {
    for (const version of this.#adapters.keys()) this.#settle(version, failure)
    this.#adapters.clear()
  }

  #settle(version: VersionId, failure: RuntimeFailure | null): void {
    const waiting = this.#adapters.get(version)?.waiting.splice(0) ?? []
    for (const resolve of waiting) resolve(failure)
  }
}
