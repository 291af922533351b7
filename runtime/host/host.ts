// The engines of this host: which versions are loaded, and the requests' way to each.
//
// A version is loaded where the host's budget of memory has room for it, or would have without versions that nobody wants
// and nobody uses: those are ended first, the least recently used before the others. Where that is not enough the load is
// refused before anything is touched. Loads are admitted one after the other, so that two can't be promised the same room.
//
// Knows: version ids, folders, engines. Does not know: HTTP, what happens inside an engine.

import { Budget } from './budget.ts'
import { Engine } from './engine.ts'
import { Residents } from './residents.ts'
import { findVersionFolder, unservable } from './version-folder.ts'
import type { EngineRequest, EngineSettings } from '../engine/messages.ts'
import type { Logger } from '../logger.ts'
import type {
  Fit,
  HostStats,
  LoadRequest,
  RuntimeFailure,
  VersionId,
  WantRequest,
} from '../protocol.ts'
import type { Admission } from './budget.ts'
import type { LoadListener } from './engine.ts'
import type { EngineProgram } from './engine-process.ts'
import type { MachineMemory } from './machine-memory.ts'
import type { AnswerListener } from './run.ts'

interface HostOptions {
  /** version folders are at `<data dir>/models/<name>/<version>` */
  dataDir: string
  /** what is the same for all engines */
  engine: Omit<EngineSettings, 'folder' | 'version'>
  program: EngineProgram
  /** the memory that engines compute in: the machine's, or a device's own */
  readMemory: () => Promise<MachineMemory>
  /** of that, what all engines may have together */
  memoryBytes: number
  /** how long a version that nobody wants is kept without a request; 0: for ever */
  idleUnloadMs: number
  /** how long running requests may take to finish when their engine is to end */
  drainMs: number
  logger: Logger
}

type Found = { engine: Engine; adapter?: ResidentAdapter } | { failure: RuntimeFailure }

/** A version that is one, and that the engine of its base takes in. */
interface ResidentAdapter {
  folder: string
  base: VersionId
}

const DRAINING: RuntimeFailure = { code: 'draining', message: 'The runtime is shutting down.' }
/** A second more or less of an idle version costs nothing, and neither does a look. */
const LOOK_MS = 1_000

export class Host {
  readonly #options: HostOptions
  readonly #residents = new Residents()
  readonly #budget: Budget
  readonly #looking: NodeJS.Timeout
  /** the last load that was admitted, or is about to be */
  #admitted: Promise<unknown> = Promise.resolve()
  #isDraining = false

  constructor(options: HostOptions) {
    this.#options = options
    const { memoryBytes, readMemory, idleUnloadMs, engine } = options
    const isWanted = (version: VersionId) => this.#residents.isWanted(version)
    this.#budget = new Budget({ budgetBytes: memoryBytes, readMemory, cache: engine, isWanted })
    const everyMs = Math.min(LOOK_MS, idleUnloadMs / 4 || LOOK_MS)
    this.#looking = setInterval(() => void this.#tidy(), everyMs)
    this.#looking.unref()
  }

  /**
   * Loads a version; all who ask for one share its load, and one that is loaded is `ready` at once.
   * @returns what to call to hear no more of it; the load goes on
   */
  load({ version, mayEvict = true }: LoadRequest, listener: LoadListener): () => void {
    let isHeard = true
    let stopListening = () => {}
    const tell: LoadListener = (event) => {
      if (isHeard) listener(event)
    }
    this.#engineFor(version, mayEvict).then(
      (found) => {
        if ('failure' in found) tell({ type: 'error', error: found.failure })
        else if (found.adapter) this.#loadAdapter(version, found.engine, found.adapter, tell)
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
    if (this.#residents.hasAdapter(version)) {
      const engine = this.#residents.serving(version)
      this.#residents.removeAdapter(version)
      engine?.dropAdapter(version)
      return
    }
    await this.#end(version, unloaded(version))
  }

  want(request: WantRequest): void {
    this.#residents.want(request)
  }

  /** Whether a load would be admitted now; touches nothing. */
  async fit(version: VersionId, isBase = false): Promise<Fit | RuntimeFailure> {
    const found = await this.#find(version)
    if ('failure' in found) return found.failure
    const { folder, base } = found
    // An adapter needs what its base needs, and hardly more.
    if (base !== null) {
      if (isBase) return stacked(version)
      const below = await this.fit(base, true)
      const isLoaded = this.#residents.hasAdapter(version)
      return 'fits' in below ? { ...below, version, isLoaded } : below
    }
    const {
      failure: _failure,
      kvBudgetBytes: _bytes,
      need: _need,
      ...fit
    } = await this.#budget.admit({ version, folder, mayEvict: true }, this.#residents)
    const state = this.#residents.get(version)?.state
    const isLoaded = state === 'ready' || state === 'loading' || state === 'restarting'
    return isLoaded ? { ...fit, isLoaded, fits: true, needBytes: 0, evicts: [] } : fit
  }

  /** @returns what to call when nobody wants the answer any more; no event follows */
  answer(request: EngineRequest, listener: AnswerListener): () => void {
    const { version } = request
    const engine = this.#residents.serving(version)
    if (this.#isDraining) {
      listener({ type: 'error', error: DRAINING })
    } else if (engine) {
      return engine.answer(request, listener)
    } else {
      const message = `Version '${version}' is not loaded. POST /versions/load loads it.`
      listener({ type: 'error', error: { code: 'version_not_loaded', message } })
    }
    return () => {}
  }

  async stats(): Promise<HostStats> {
    const engines = await Promise.all(
      [...this.#residents].map(async (engine) => ({
        ...(await engine.stats()),
        isWanted: this.#residents.isWanted(engine.version),
      })),
    )
    const usedBytes = engines.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0)
    const memory = await this.#budget.memory(usedBytes)
    const device = this.#options.engine.device.kind
    return { pid: process.pid, device, memory, engines }
  }

  /** Takes nothing new, lets what runs finish, and resolves when no engine is left. */
  async drain(): Promise<void> {
    this.#isDraining = true
    clearInterval(this.#looking)
    const message = 'The runtime shut down before the answer ended.'
    const versions = [...this.#residents].map(({ version }) => version)
    await Promise.all(versions.map((version) => this.#end(version, { ...DRAINING, message })))
  }

  /** Ends every process now: for a host that is about to end itself, whatever the reason. */
  kill(): void {
    for (const engine of this.#residents) engine.kill()
  }

  /** Once the base is ready, its engine takes the adapter in. */
  #loadAdapter(
    version: VersionId,
    engine: Engine,
    { folder, base }: ResidentAdapter,
    tell: LoadListener,
  ): void {
    const startMs = performance.now()
    const taken = async () => {
      const error = await engine.addAdapter(version, folder)
      if (error) return tell({ type: 'error', error })
      this.#residents.addAdapter(version, base)
      tell({ type: 'ready', loadMs: performance.now() - startMs })
    }
    engine.onLoad((event) => {
      if (event.type === 'ready') void taken()
      else tell(event)
    })
  }

  /** The version's own engine, or that of its base where it is an adapter. */
  async #engineFor(version: VersionId, mayEvict: boolean, isBase = false): Promise<Found> {
    const found = await this.#find(version)
    if ('failure' in found) return found
    const { folder, base } = found
    if (base !== null) {
      if (isBase) return { failure: stacked(version) }
      const below = await this.#engineFor(base, mayEvict, true)
      return 'failure' in below ? below : { ...below, adapter: { folder, base } }
    }
    // One that is on its way out, or failed, makes room first.
    for (;;) {
      if (this.#isDraining) return { failure: DRAINING }
      const engine = this.#residents.get(version)
      if (!engine) {
        const admission = this.#admitted.then(() => this.#admit(version, folder, mayEvict))
        this.#admitted = admission.catch(() => {})
        return admission
      }
      if (engine.state === 'failed') await this.#end(version, DRAINING)
      else if (engine.state === 'draining') await engine.gone
      else return { engine }
    }
  }

  /** The folder of a version that this host could serve. */
  async #find(version: VersionId) {
    const { dataDir, engine } = this.#options
    const found = await findVersionFolder(dataDir, version)
    // An adapter can be served where its base can.
    if ('failure' in found || found.base !== null) return found
    const failure = await unservable(found.folder, version, engine.device.kind)
    return failure ? { failure } : found
  }

  /** Nobody else is admitted meanwhile. */
  async #admit(version: VersionId, folder: string, mayEvict: boolean): Promise<Found> {
    // Those who waited together share one.
    const present = this.#residents.get(version)
    if (present) return { engine: present }
    const admission = await this.#findRoom(version, folder, mayEvict)
    const { fits, evicts, failure, need, kvBudgetBytes } = admission
    const { engine: shared, program, logger } = this.#options
    if (!fits) {
      logger.warn({ version }, failure.message)
      return { failure }
    }
    await Promise.all(evicts.map((old) => this.#endIdle(old, `to make room for ${version}`)))
    if (this.#isDraining) return { failure: DRAINING }
    const engine = new Engine({ ...shared, folder, version, kvBudgetBytes }, program, logger, need)
    this.#residents.add(engine)
    engine.onLoad(({ type }) => {
      if (type !== 'ready') return
      void engine.memory().then(({ bytes }) => this.#budget.learn(version, bytes))
    })
    return { engine }
  }

  /** @returns whose end it takes: all of them may go at this moment */
  async #findRoom(version: VersionId, folder: string, mayEvict: boolean): Promise<Admission> {
    for (;;) {
      const asked = { version, folder, mayEvict }
      const admission = await this.#budget.admit(asked, this.#residents)
      // Measuring takes its time, and somebody may have asked one of them meanwhile.
      if (admission.evicts.every((old) => this.#residents.mayGo(old))) return admission
    }
  }

  /** Ends what nobody wants and nobody has used for long, and more of it where memory is short. */
  async #tidy(): Promise<void> {
    const { idleUnloadMs, logger } = this.#options
    try {
      const mostMs = idleUnloadMs === 0 ? Infinity : idleUnloadMs
      for (const { version, idleMs } of this.#residents) {
        if (idleMs < mostMs || !this.#residents.mayGo(version)) continue
        void this.#endIdle(version, 'because nobody has used it for long')
      }
      for (const version of await this.#budget.excess(this.#residents)) {
        if (!this.#residents.mayGo(version)) continue
        void this.#endIdle(version, 'because others have come to use more memory')
      }
    } catch (error) {
      logger.error({ err: error }, 'idle versions could not be looked at')
    }
  }

  /** @param why end of the sentence "it is unloaded …" */
  async #endIdle(version: VersionId, why: string): Promise<void> {
    const engine = this.#residents.get(version)
    if (engine && engine.state !== 'draining') {
      this.#options.logger.info({ version }, `${version} is unloaded ${why}`)
    }
    await this.#end(version, unloaded(version))
  }

  async #end(version: VersionId, leftBehind: RuntimeFailure): Promise<void> {
    const engine = this.#residents.get(version)
    if (!engine) return
    await engine.end(this.#options.drainMs, leftBehind)
    this.#residents.remove(engine)
  }
}

function stacked(version: VersionId): RuntimeFailure {
  const message = `Version '${version}' is an adapter, and no other can be put onto it.`
  return { code: 'version_unusable', message }
}

function unloaded(version: VersionId): RuntimeFailure {
  const message = `Version '${version}' was unloaded before the answer ended.`
  return { code: 'version_not_loaded', message }
}
