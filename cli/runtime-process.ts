// The runtime of this host as a child process of `headrace serve`: started, started again when it dies, stopped.
//
// It is in a session of its own, so that Ctrl-C reaches it only through us, after the last answers. It notices by its
// channel when we are gone, however we went.
//
// Knows: one process. Does not know: what a runtime does.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ChildProcess } from 'node:child_process'

import type { Logger } from '../gateway/logger.ts'

export interface RuntimeProcessOptions {
  /** path of the command line's entry */
  entry: string
  env: NodeJS.ProcessEnv
  logger: Logger
  /** it died, and is being started again */
  onDeath: () => void
}

/** Soon enough that few requests notice; one that dies at once is not started in a tight loop. */
const RESTART_DELAY_MS = 500
const MAX_RESTART_DELAY_MS = 10_000
/** one that lived this long died of something new */
const STABLE_MS = 60_000
// As the launcher has it. 2026-11: 15 MB less than with Node's own nursery, and no growth from load to load.
const HOST_FLAGS = ['--max-semi-space-size=1']
/** the gateway has drained before the runtime is stopped, so there is nothing left for it to finish */
const STOP_TIMEOUT_MS = 10_000

export class RuntimeProcess implements AsyncDisposable {
  readonly #options: RuntimeProcessOptions
  readonly #stopped = new AbortController()
  #child: ChildProcess
  #startedMs = 0

  constructor(options: RuntimeProcessOptions) {
    this.#options = options
    this.#child = this.#start()
    void this.#keepRunning()
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort()
    const child = this.#child
    if (hasEnded(child)) return
    const gone = once(child, 'exit')
    child.kill('SIGTERM')
    const cut = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
    await gone
    clearTimeout(cut)
  }

  #start(): ChildProcess {
    this.#startedMs = performance.now()
    const { entry, env } = this.#options
    const child = spawn(process.execPath, [...HOST_FLAGS, entry, 'runtime'], {
      env,
      detached: true,
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    child.on('error', (error) => {
      this.#options.logger.error({ err: error }, 'the runtime could not be started')
    })
    return child
  }

  async #keepRunning(): Promise<void> {
    const { logger, onDeath } = this.#options
    const { signal } = this.#stopped
    for (let delayMs = RESTART_DELAY_MS; ; delayMs = Math.min(2 * delayMs, MAX_RESTART_DELAY_MS)) {
      const child = this.#child
      if (child.pid !== undefined) await once(child, 'exit')
      if (signal.aborted) return
      const how = child.signalCode ?? `code ${child.exitCode}`
      logger.error({ pid: child.pid }, `the runtime ended by itself (${how}); it is started again`)
      onDeath()
      if (performance.now() - this.#startedMs > STABLE_MS) delayMs = RESTART_DELAY_MS
      await sleep(delayMs, undefined, { signal }).catch(() => {})
      if (signal.aborted) return
      this.#child = this.#start()
    }
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null
}
