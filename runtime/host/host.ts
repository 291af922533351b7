// The engines of this host: which versions are loaded, and the requests' way to each.
//
// Knows: version ids, folders, engines. Does not know: HTTP, what happens inside an engine.

import { freemem, totalmem } from 'node:os'

import { Engine } from './engine.ts'
import { findVersionFolder } from './version-folder.ts'
import type { EngineSettings } from '../engine/messages.ts'
import type { Logger } from '../logger.ts'
import type { GenerateRequest, HostStats, RuntimeFailure, VersionId } from '../protocol.ts'
import type { LoadListener } from './engine.ts'
import type { EngineProgram } from './engine-process.ts'
import type { GenerateListener } from './run.ts'

interface HostOptions {
  /** version folders are at `<data dir>/models/<name>/<version>` */
  dataDir: string
  /** what is the same for all engines */
  engine: Omit<EngineSettings, 'folder' | 'version'>
  program: EngineProgram
  /** how long running requests may take to finish when their engine is to end */
  drainMs: number
  logger: Logger
}

const DRAINING: RuntimeFailure = { code: 'draining', message: 'The runtime is shutting down.' }

export class Host {
  readonly #options: HostOptions
  readonly #engines = new Map<VersionId, Engine>()
  #isDraining = false

  constructor(options: HostOptions) {
    this.#options = options
  }

  /**
   * Loads a version; all who ask for one share its load, and one that is loaded is `ready` at once.
   * @returns what to call to hear no more of it; the load goes on
   */
  load(version: VersionId, listener: LoadListener): () => void {
    let isHeard = true
    let stopListening = () => {}
    const tell: LoadListener = (event) => {
      if (isHeard) listener(event)
    }
    this.#engineFor(version).then(
      (found) => {
        if ('failure' in found) tell({ type: 'error', error: found.failure })
        else if (isHeard) stopListening = found.engine.onLoad(listener)
      },
      (error: unknown) => {
        const message = `Loading '${version}' failed: ${String(error)}`
        tell({ type: 'error', error: { code: 'internal', message } })
      },
    )
    return () => {
      isHeard = false
      stopListening()
    }
  }

  /** Lets the version's requests finish, ends its process, and resolves when it is gone. */
  async unload(version: VersionId): Promise<void> {
    const message = `Version '${version}' was unloaded before the answer ended.`
    await this.#end(version, { code: 'version_not_loaded', message })
  }

  /** @returns what to call when nobody wants the answer any more; no event follows */
  generate(request: GenerateRequest, listener: GenerateListener): () => void {
    const { version } = request
    const engine = this.#engines.get(version)
    if (this.#isDraining) {
      listener({ type: 'error', error: DRAINING })
    } else if (engine) {
      return engine.generate(request, listener)
    } else {
      const message = `Version '${version}' is not loaded. POST /versions/load loads it.`
      listener({ type: 'error', error: { code: 'version_not_loaded', message } })
    }
    return () => {}
  }

  async stats(): Promise<HostStats> {
    const engines = [...this.#engines.values()].map((engine) => engine.stats())
    const memory = { totalBytes: totalmem(), freeBytes: freemem() }
    return { pid: process.pid, memory, engines: await Promise.all(engines) }
  }

  /** Takes nothing new, lets what runs finish, and resolves when no engine is left. */
  async drain(): Promise<void> {
    this.#isDraining = true
    const message = 'The runtime shut down before the answer ended.'
    const versions = [...this.#engines.keys()]
    await Promise.all(versions.map((version) => this.#end(version, { ...DRAINING, message })))
  }

  /** Ends every process now: for a host that is about to end itself, whatever the reason. */
  kill(): void {
    for (const engine of this.#engines.values()) engine.kill()
  }

  async #engineFor(version: VersionId): Promise<{ engine: Engine } | { failure: RuntimeFailure }> {
    const found = await findVersionFolder(this.#options.dataDir, version)
    if ('failure' in found) return found
    // One that is on its way out, or failed, makes room first. Nothing is awaited between the last look and the new
    // engine, so that those who waited together share one.
    for (;;) {
      if (this.#isDraining) return { failure: DRAINING }
      const engine = this.#engines.get(version)
      if (!engine) break
      if (engine.state === 'failed') await this.#end(version, DRAINING)
      else if (engine.state === 'draining') await engine.gone
      else return { engine }
    }
    const { engine: shared, program, logger } = this.#options
    const engine = new Engine({ ...shared, ...found, version }, program, logger)
    this.#engines.set(version, engine)
    return { engine }
  }

  async #end(version: VersionId, leftBehind: RuntimeFailure): Promise<void> {
    const engine = this.#engines.get(version)
    if (!engine) return
    await engine.end(this.#options.drainMs, leftBehind)
    if (this.#engines.get(version) === engine) this.#engines.delete(version)
  }
}
