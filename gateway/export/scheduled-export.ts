// The export of closed days, again and again: a pass every ten minutes, which mostly finds that nothing is due.
//
// Knows: when. Does not know: which days, how.

import { setTimeout as sleep } from 'node:timers/promises'

import { openDestination } from './destination.ts'
import { exportClosedDaysInThread } from './thread.ts'
import type { Connection } from '../db/pool.ts'
import type { Logger } from '../logger.ts'

export interface ScheduledExportOptions {
  exportUrl: string
  env: Record<string, string | undefined>
  withBodies: boolean
  connection: Connection
  logger: Logger
  /** milliseconds since 1970 */
  now?: () => number
  intervalMs?: number
  retryMs?: number
}

/** A day is an hour late anyway: its grace. */
const INTERVAL_MS = 10 * 60_000
const RETRY_MS = 60_000

export class ScheduledExport implements AsyncDisposable {
  readonly #options: ScheduledExportOptions
  readonly #stop = new AbortController()
  #running: Promise<void> = Promise.resolve()
  #lastSuccessMs: number | null = null
  #failures = 0
  #days = 0

  private constructor(options: ScheduledExportOptions) {
    this.#options = options
  }

  /** @throws Error where there is no such place, or credentials are missing */
  static async start(options: ScheduledExportOptions): Promise<ScheduledExport> {
    const destination = await openDestination(options.exportUrl, options.env)
    await destination.close()
    const scheduled = new ScheduledExport(options)
    scheduled.#running = scheduled.#run()
    return scheduled
  }

  /** when a pass last ended well; null: none has, in this process */
  get lastSuccessMs(): number | null {
    return this.#lastSuccessMs
  }

  /** passes that failed */
  get failures(): number {
    return this.#failures
  }

  /** that this process exported */
  get days(): number {
    return this.#days
  }

  /** Ends at once; what was begun is begun anew by whoever comes next. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { intervalMs = INTERVAL_MS, retryMs = RETRY_MS, logger } = this.#options
    const { signal } = this.#stop
    while (!signal.aborted) {
      let pauseMs = intervalMs
      try {
        if (!(await this.#runPass(signal))) pauseMs = retryMs
      } catch (error) {
        if (signal.aborted) return
        this.#failures++
        pauseMs = retryMs
        logger.error({ err: error }, 'closed days could not be exported; they are tried again')
      }
      await sleep(pauseMs, undefined, { signal, ref: false }).catch(() => {})
    }
  }

  /** @returns false where another gateway was at it */
  async #runPass(signal: AbortSignal): Promise<boolean> {
    const { exportUrl, env, withBodies, connection, logger, now = Date.now } = this.#options
    const job = { exportUrl, env: awsOf(env), withBodies, nowMs: now() }
    const pass = exportClosedDaysInThread(connection, job, signal)
    for (;;) {
      const { done, value } = await pass.next()
      if (done) {
        if (value) this.#lastSuccessMs = now()
        return value
      }
      this.#days++
      const { day, generation, rows, files } = value
      logger.info({ day, generation, rows, files: files.length }, `${day} is exported`)
    }
  }
}

/** A thread's data is copied; the rest of the environment is none of its business. */
function awsOf(env: Record<string, string | undefined>) {
  return Object.fromEntries(Object.entries(env).filter(([name]) => name.startsWith('AWS_')))
}
