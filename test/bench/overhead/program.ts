// A program that serves until it is stopped: started, waited for, ended with everything that it started.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AddressInfo } from 'node:net'
import type { ChildProcess } from 'node:child_process'

import { cleanEnvironment } from '../environment.ts'

export interface ProgramOptions {
  cwd?: string
  env?: Record<string, string>
  signal: AbortSignal
}

const READY_TIMEOUT_MS = 120_000
const STOP_TIMEOUT_MS = 20_000
const POLL_MS = 100
const KEPT_CHARACTERS = 20_000

export class Program implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #name: string
  readonly #signal: AbortSignal
  #said = ''

  constructor(command: string, args: string[], { cwd, env, signal }: ProgramOptions) {
    this.#name = command
    this.#signal = signal
    this.#child = spawn(command, args, {
      cwd,
      env: cleanEnvironment(env),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child.on('error', (error) => this.#hear(error.message))
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => this.#hear(text))
    }
  }

  /** Resolves when something answers at that address. @throws Error with its last words; it is ended then */
  static async serving(
    url: string,
    command: string,
    args: string[],
    options: ProgramOptions,
  ): Promise<Program> {
    const program = new Program(command, args, options)
    try {
      await program.#answers(url)
    } catch (error) {
      await program[Symbol.asyncDispose]()
      throw error
    }
    return program
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Resolves with what the pattern matched in what the program printed. @throws Error with its last words */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#until(() => Promise.resolve(pattern.exec(this.#said)))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isOver) return
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    const cut = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MS)
    await gone
    clearTimeout(cut)
  }

  get #isOver(): boolean {
    const { pid, exitCode, signalCode } = this.#child
    return pid === undefined || exitCode !== null || signalCode !== null
  }

  /** Resolves when something answers there, whatever it says. */
  async #answers(url: string): Promise<void> {
    await this.#until(() =>
      fetch(url, { signal: this.#signal }).then(
        (it) => it.text(),
        () => null,
      ),
    )
  }

  async #until<T>(poll: () => Promise<T | null>): Promise<T> {
    const deadline = performance.now() + READY_TIMEOUT_MS
    for (;;) {
      const found = await poll()
      if (found !== null) return found
      if (this.#isOver || performance.now() > deadline) {
        const what = this.#isOver ? 'ended' : 'was not ready in time'
        throw new Error(`${this.#name} ${what}:\n${this.#said}`)
      }
      await sleep(POLL_MS, undefined, { signal: this.#signal })
    }
  }

  #hear(text: string) {
    this.#said = (this.#said + text).slice(-KEPT_CHARACTERS)
  }
}

/** Free now; for programs that can't be told to take any and say which. */
export async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
