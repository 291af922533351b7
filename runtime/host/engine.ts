// One loaded version: keeps a process running for it, and gives that the requests.
//
//   loading ──► ready ◄──► restarting            draining ──► gone
//      └──────────┴────────────┴──► failed          ▲ from any of them
//
// A process that ends by itself costs the requests that it had begun; they are told at once. Those that it had not begun,
// and those that arrive until the next one is ready, wait: bounded in number and in time. Only a version that can't be
// served at all is given up.
//
// Knows: states, requests, the messages of an engine. Does not know: HTTP, other versions, where folders are.

import { Adapters } from './adapters.ts'
import { EngineProcess } from './engine-process.ts'
import { Figures } from './figures.ts'
import type { MemoryHeld, MemoryNeed } from './figures.ts'
import { Restarts } from './restarts.ts'
import { Runs } from './runs.ts'
import { Use } from './use.ts'
import type { EngineMessage, EngineRequest, EngineSettings } from '../engine/messages.ts'
import type { Logger } from '../logger.ts'
import type { EngineState, EngineStats, LoadEvent, RuntimeFailure, VersionId } from '../protocol.ts'
import type { EngineProgram } from './engine-process.ts'
import type { AnswerListener, Run } from './run.ts'

export type LoadListener = (event: LoadEvent) => void

// An engine with nothing left to do ends within milliseconds of being told, or it hangs.
const IDLE_END_MS = 5_000

export class Engine {
  readonly version: VersionId
  readonly #settings: EngineSettings
  readonly #program: EngineProgram
  readonly #logger: Logger
  readonly #runs = new Runs((request) =>
    this.#process?.send(
      'task' in request ? { type: 'encode', request } : { type: 'generate', request },
    ),
  )
  readonly #adapters = new Adapters((version, folder) =>
    this.#process?.send({ type: 'adapter', version, folder }),
  )
  readonly #loadListeners = new Set<LoadListener>()
  readonly #restarts = new Restarts()
  readonly #figures: Figures
  readonly #gone = Promise.withResolvers<void>()
  readonly #use = new Use()
  #state: EngineState = 'loading'
  #failure: RuntimeFailure | null = null
  #process: EngineProcess | null = null
  #endTimer: NodeJS.Timeout | null = null
  #leftBehind: RuntimeFailure | null = null
  #startedMs = 0
  #loadMs = 0

  constructor(settings: EngineSettings, program: EngineProgram, logger: Logger, need: MemoryNeed) {
    this.version = settings.version
    this.#figures = new Figures(need)
    this.#settings = settings
    this.#program = program
    this.#logger = logger
    this.#start()
  }

  get state(): EngineState {
    return this.#state
  }

  /** milliseconds since 1970 */
  get lastUsedMs(): number {
    return this.#use.lastMs
  }

  /** milliseconds without anything to do */
  get idleMs(): number {
    return this.#use.agoMs
  }

  /** Nothing would miss it now. */
  get isIdle(): boolean {
    const isTaking = this.#adapters.isTaking
    return this.#runs.size === 0 && this.#state !== 'loading' && !isTaking && !this.#use.isExpected
  }

  memory(): Promise<MemoryHeld> {
    return this.#figures.memory(this.#process, this.#isLoading)
  }

  /** resolves when the engine was told to end and its process is gone */
  get gone(): Promise<void> {
    return this.#gone.promise
  }

  /**
   * Tells how the load goes until it is `ready` or an `error`, once; now, if it is over.
   * @returns what to call to hear no more of it
   */
  onLoad(listener: LoadListener): () => void {
    const failure = this.#state === 'failed' ? this.#failure : this.#leftBehind
    if (this.#state === 'ready') {
      this.#use.expect()
      listener({ type: 'ready', loadMs: this.#loadMs })
    } else if (failure) listener({ type: 'error', error: failure })
    else this.#loadListeners.add(listener)
    return () => this.#loadListeners.delete(listener)
  }

  /** Takes in a version that is an adapter of this one. @returns what went wrong; null where nothing did */
  addAdapter(version: VersionId, folder: string): Promise<RuntimeFailure | null> {
    const failure = this.#state === 'failed' ? this.#failure : this.#leftBehind
    if (failure) return Promise.resolve(failure)
    return this.#adapters.add(version, folder, this.#state === 'ready')
  }

  /** Takes nothing new for it; what runs through it is served. */
  dropAdapter(version: VersionId): void {
    if (this.#adapters.remove(version)) this.#process?.send({ type: 'drop-adapter', version })
  }

  /** @returns what to call when nobody wants the answer any more; no event follows */
  answer(request: EngineRequest, listener: AnswerListener): () => void {
    const refusal = this.#refusal(request)
    if (refusal) {
      listener({ type: 'error', error: refusal })
      return () => {}
    }
    this.#use.touch()
    const run = this.#runs.add(request, listener, this.#state === 'ready')
    return () => this.#cancel(run)
  }

  async stats(): Promise<Omit<EngineStats, 'isWanted'>> {
    const isServing = this.#state === 'ready' || this.#state === 'draining'
    const figures = await this.#figures.read(this.#process, isServing)
    const reason = this.#failure?.message
    return {
      ...figures,
      ...(!isServing && { waiting: this.#runs.size }),
      ...(reason !== undefined && { reason }),
      version: this.version,
      state: this.#state,
      pid: this.#process?.pid ?? null,
      restarts: this.#restarts.count,
      lastUsedAt: this.#use.lastMs,
      loadMs: this.#loadMs,
      adapters: this.#adapters.versions,
    }
  }

  /**
   * Lets running requests finish, then ends the process; ends it anyway after `patienceMs`.
   * @param leftBehind what to tell the requests that had not finished by then
   */
  end(patienceMs: number, leftBehind: RuntimeFailure): Promise<void> {
    if (this.#state === 'draining') return this.gone
    const wasReady = this.#state === 'ready'
    this.#state = 'draining'
    this.#leftBehind = leftBehind
    this.#failure = null
    this.#restarts.cancel()
    this.#tellLoad({ type: 'error', error: leftBehind })
    if (!this.#process) {
      this.#leave()
    } else if (wasReady) {
      this.#endTimer = setTimeout(() => this.#process?.kill(), patienceMs)
      this.#process.send({ type: 'drain' })
      this.#endIfIdle()
    } else {
      // It can't have begun with anything.
      this.kill()
    }
    return this.gone
  }

  kill(): void {
    this.#process?.kill()
  }

  get #isLoading(): boolean {
    return this.#state === 'loading' || this.#state === 'restarting'
  }

  #refusal({ id }: EngineRequest): RuntimeFailure | null {
    const version = `Version '${this.version}'`
    if (this.#state === 'failed' && this.#failure?.code === 'version_unusable') return this.#failure
    if (this.#state === 'restarting' && this.#runs.size >= this.#settings.maxWaiting) {
      const message = `${version} is being restarted and ${this.#runs.size} requests wait for it already.`
      return { code: 'overloaded', message }
    }
    if (this.#state !== 'ready' && this.#state !== 'restarting') {
      return {
        code: 'version_not_loaded',
        message: `${version} is not loaded: it is ${this.#state}.`,
      }
    }
    if (this.#runs.has(id)) {
      const message = `A request with the id '${id}' is running; ids have to be unique.`
      return { code: 'invalid_request', message }
    }
    return null
  }

  #start(): void {
    this.#startedMs = performance.now()
    try {
      this.#process = new EngineProcess(
        this.#program,
        this.#settings,
        { onMessage: (message) => this.#onMessage(message), onEnd: (why) => this.#onEnd(why) },
        this.#logger,
      )
    } catch (error) {
      // The system refuses to make a process, out of memory for instance; it may not the next time.
      this.#onEnd(`could not be started: ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  #onMessage(message: Exclude<EngineMessage, { type: 'stats' }>): void {
    switch (message.type) {
      case 'events':
        this.#use.touch()
        this.#runs.deliver(message.events)
        this.#endIfIdle()
        break
      case 'ready':
        if (this.#isLoading) this.#onReady(message.loadMs)
        break
      case 'device':
        this.#figures.onDevice(message.bytes)
        break
      case 'error':
        if (this.#isLoading) this.#onLoadError(message.error)
        break
      case 'adapter':
        this.#adapters.told(message.version, message.error)
        break
      case 'progress':
        for (const listener of this.#loadListeners) listener(message)
    }
  }

  #onReady(loadMs: number): void {
    this.#state = 'ready'
    this.#failure = null
    this.#loadMs = loadMs
    this.#restarts.noteReady()
    this.#use.expect()
    // What was measured while it was loading says little.
    this.#figures.forget()
    const totalMs = Math.round(performance.now() - this.#startedMs)
    const context = { version: this.version, pid: this.#process?.pid, loadMs, totalMs }
    this.#logger.info(context, 'the engine is ready')
    this.#adapters.tellAll()
    this.#tellLoad({ type: 'ready', loadMs })
    this.#runs.giveAll()
    void this.#process?.watch()
  }

  #onLoadError(error: RuntimeFailure): void {
    if (this.#state === 'restarting' && error.code !== 'version_unusable') {
      // The end of the process, which follows, counts as another attempt.
      this.#logger.warn({ version: this.version }, `the engine can't load: ${error.message}`)
      this.kill()
    } else {
      this.#giveUp(error)
    }
  }

  #onEnd(why: string): void {
    const pid = this.#process?.pid
    this.#process = null
    if (this.#state === 'draining') return this.#leave()
    if (this.#state === 'failed') return
    const message = `The engine process of '${this.version}' ${why}.`
    if (this.#state === 'loading') return this.#giveUp({ code: 'engine_lost', message })
    this.#restartAfter(message, pid)
  }

  #restartAfter(message: string, pid: number | null | undefined): void {
    this.#state = 'restarting'
    this.#failure = { code: 'engine_lost', message }
    this.#figures.forget()
    this.#runs.lose(this.#failure)
    const delayMs = this.#restarts.schedule(() => this.#start())
    this.#logger.error({ version: this.version, pid, delayMs }, `${message} It is started again.`)
  }

  #giveUp(failure: RuntimeFailure): void {
    this.#state = 'failed'
    this.#failure = failure
    this.#logger.error({ version: this.version }, `the engine can't be loaded: ${failure.message}`)
    this.kill()
    this.#tellLoad({ type: 'error', error: failure })
    this.#adapters.failAll(failure)
    this.#runs.failAll(failure)
  }

  #cancel(run: Run): void {
    const isGiven = !run.isWaiting
    if (!this.#runs.remove(run)) return
    if (isGiven) this.#process?.send({ type: 'cancel', id: run.request.id })
    this.#endIfIdle()
  }

  #tellLoad(event: LoadEvent): void {
    for (const listener of this.#loadListeners) listener(event)
    this.#loadListeners.clear()
  }

  /** Nothing left to finish: the process has no reason to take its time. */
  #endIfIdle(): void {
    if (this.#state !== 'draining' || this.#runs.size > 0) return
    if (this.#endTimer) clearTimeout(this.#endTimer)
    this.#endTimer = setTimeout(() => this.#process?.kill(), IDLE_END_MS)
  }

  #leave(): void {
    if (this.#endTimer) clearTimeout(this.#endTimer)
    if (this.#leftBehind) {
      this.#adapters.failAll(this.#leftBehind)
      this.#runs.failAll(this.#leftBehind)
    }
    this.#logger.info({ version: this.version }, 'the engine has ended')
    this.#gone.resolve()
  }
}
