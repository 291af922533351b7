// A process that does what it is asked, one thing after the other, and says how that went.
//
// Native libraries share a process badly (threads, environment, memory that is never given back), so each contestant has
// one of its own, and what it holds goes when it is killed.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import type { ChildProcess } from 'node:child_process'

import { cleanEnvironment } from './environment.ts'

type Reply<Answer> = { answer: Answer } | { error: string }

export class Worker<Ask extends object, Answer> implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #name: string

  /** @param entry path of a module that calls answerParent */
  constructor(name: string, entry: string, signal: AbortSignal, env: Record<string, string> = {}) {
    this.#name = name
    this.#child = fork(entry, [], {
      env: cleanEnvironment(env),
      execArgv: [],
      stdio: ['ignore', 2, 2, 'ipc'],
      signal,
    })
    // It is told by whoever waits; an abort is an 'error' too.
    this.#child.on('error', () => {})
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** @throws Error with what went wrong there */
  async ask(ask: Ask): Promise<Answer> {
    const ended = new AbortController()
    const onEnd = () => ended.abort()
    this.#child.once('exit', onEnd)
    try {
      if (!this.#child.connected) throw this.#lost()
      this.#child.send(ask, () => {})
      const [reply] = (await once(this.#child, 'message', { signal: ended.signal }).catch(() => {
        throw this.#lost()
      })) as [Reply<Answer>]
      if ('error' in reply) throw new Error(`${this.#name}: ${reply.error}`)
      return reply.answer
    } finally {
      this.#child.off('exit', onEnd)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.#child
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }

  #lost(): Error {
    const { exitCode, signalCode } = this.#child
    return new Error(`${this.#name} ended with ${signalCode ?? exitCode ?? 'its channel'}`)
  }
}

/** The other end: what a worker's module calls, with a function of what its parent asks. */
export function answerParent(answer: (ask: never) => Promise<unknown>): void {
  process.on('disconnect', () => process.exit(0))
  process.on('message', (ask) => {
    answer(ask as never).then(
      (answer) => process.send?.({ answer } satisfies Reply<unknown>),
      (error: unknown) => {
        const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
        process.send?.({ error: message } satisfies Reply<unknown>)
      },
    )
  })
}
