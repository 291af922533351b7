// One engine process: forked, talked to over Node's IPC channel, ended.
//
// What it writes to stdout and stderr goes to the host's log, line by line, under its version. Its end is told once, after
// everything that it still had to say; where it gave up by itself, the last line of its stderr is why.
//
// Knows: a process and its messages. Does not know: requests, restarts, states.

import { fork } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ChildProcess } from 'node:child_process'
import type { Readable } from 'node:stream'

import type {
  EngineMessage,
  EngineOwnStats,
  EngineSettings,
  HostMessage,
} from '../engine/messages.ts'
import type { Logger } from '../logger.ts'

export interface EngineProgram {
  /** path of the module that an engine process runs */
  entry: string
  env: NodeJS.ProcessEnv
  /** a process that has not answered for this long is ended */
  hangMs: number
}

interface EngineProcessListener {
  onMessage(message: Exclude<EngineMessage, { type: 'stats' }>): void
  /** @param why the end of a sentence: "was ended by SIGKILL", "exited with 1: no memory" */
  onEnd(why: string): void
}

export class EngineProcess {
  readonly #child: ChildProcess
  readonly #hangMs: number
  readonly #listener: EngineProcessListener
  readonly #asks = new Map<number, (stats: EngineOwnStats | null) => void>()
  #nextAsk = 0
  #lastWords = ''
  /** set once it has ended; told when the channel is read to its end */
  #end: string | null = null
  #hasEnded = false

  constructor(
    program: EngineProgram,
    settings: EngineSettings,
    listener: EngineProcessListener,
    logger: Logger,
  ) {
    this.#listener = listener
    this.#hangMs = program.hangMs
    const child = fork(program.entry, [JSON.stringify(settings)], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      // Flash attention is slower at the lengths of our prefill chunks; the library reads this once, when it is loaded.
      env: { ...program.env, ORT_GQA_DISABLE_FLASH_ATTENTION: '1' },
      // Flags of the host (a debugger's port, a test runner's) are not the engine's.
      execArgv: [],
    })
    this.#child = child
    const context = { version: settings.version, pid: child.pid }
    readLines(child.stdout, (line) => logger.info(context, line))
    readLines(child.stderr, (line) => {
      this.#lastWords = line.trim() || this.#lastWords
      logger.warn(context, line)
    })
    child.on('message', (message: EngineMessage) => this.#onMessage(message))
    // 'close' rather than 'exit': by then the last words are read.
    child.on('close', (code, signal) => {
      const words = this.#lastWords && `: ${this.#lastWords}`
      this.#end ??= signal ? `was ended by ${signal}` : `exited with ${code}${words}`
      this.#tellEnd()
    })
    // Without its channel an engine can't be told anything, and it ends by itself; this makes sure.
    child.on('disconnect', () => {
      this.kill()
      this.#tellEnd()
    })
    // Errors of the channel are followed by its end; a process that could not be made has none.
    child.on('error', (error) => {
      if (child.pid !== undefined) return
      this.#end = `could not be started: ${error.message}`
      if (child.connected) child.disconnect()
      this.#tellEnd()
    })
  }

  get pid(): number | null {
    return this.#child.pid ?? null
  }

  send(message: HostMessage): void {
    // A process that has just gone can't be written to; its end is on its way and says all there is to say.
    if (this.#child.connected) this.#child.send(message, () => {})
  }

  /** @returns null where it did not answer in time or ended */
  async stats(timeoutMs: number): Promise<EngineOwnStats | null> {
    const ask = this.#nextAsk++
    const { promise, resolve } = Promise.withResolvers<EngineOwnStats | null>()
    const timer = setTimeout(resolve, timeoutMs, null)
    this.#asks.set(ask, resolve)
    this.send({ type: 'stats', ask })
    try {
      return await promise
    } finally {
      clearTimeout(timer)
      this.#asks.delete(ask)
    }
  }

  /** Asks again and again, and ends the process when it no longer answers. An engine answers between two steps. */
  async watch(): Promise<void> {
    while (!this.#hasEnded) {
      const stats = await this.stats(this.#hangMs)
      if (!stats && !this.#hasEnded) {
        this.#end = `had not answered for ${this.#hangMs / 1000} s and was ended`
        return this.kill()
      }
      await sleep(this.#hangMs / 4, undefined, { ref: false })
    }
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  #onMessage(message: EngineMessage): void {
    if (message.type === 'stats') this.#asks.get(message.ask)?.(message.stats)
    else this.#listener.onMessage(message)
  }

  /** The process may end before its last messages are read; the channel never does. */
  #tellEnd(): void {
    if (this.#hasEnded || this.#end === null || this.#child.connected) return
    this.#hasEnded = true
    for (const resolve of this.#asks.values()) resolve(null)
    this.#listener.onEnd(this.#end)
  }
}

function readLines(stream: Readable | null, onLine: (line: string) => void): void {
  if (stream) createInterface({ input: stream }).on('line', onLine)
}
