// The load generator: requests over connections that are kept, and how long each took.
//
// Closed loop: each client asks again when it has been answered. Open loop: requests leave at a fixed rate whatever
// becomes of those before, and are timed from when they were to leave, so that a gateway that stands still for a moment
// is charged with everybody whom it kept waiting.
//
// Every answer is looked at: its status, and whether it is whole. One that isn't counts as a failure, not as fast.

import { Pool } from 'undici'
import type { Dispatcher } from 'undici'

import { quantile } from '../statistics.ts'
import { answerParent } from '../worker.ts'
import { DONE } from './wire.ts'

export interface LoadAsk {
  /** of one origin */
  url: string
  headers: Record<string, string>
  body: string
  isStreamed: boolean
  /** closed loop: so many clients; open loop: so many requests a second */
  pace: { clients: number } | { perSecond: number }
  /** what ends it, whichever comes first */
  seconds?: number
  requests?: number
}

export interface LoadAnswer {
  requests: number
  failures: number
  /** what the first failure was */
  failure: string | null
  seconds: number
  p50Ms: number
  p99Ms: number
}

const OPEN_LOOP_CONNECTIONS = 256

answerParent(async (ask: LoadAsk): Promise<LoadAnswer> => {
  const { origin, pathname } = new URL(ask.url)
  const connections = 'clients' in ask.pace ? ask.pace.clients : OPEN_LOOP_CONNECTIONS
  const pool = new Pool(origin, { connections, pipelining: 1 })
  try {
    const load = new Load(ask, pool, pathname)
    const startMs = performance.now()
    await ('clients' in ask.pace ? load.closed(ask.pace.clients) : load.open(ask.pace.perSecond))
    return load.answer((performance.now() - startMs) / 1000)
  } finally {
    await pool.destroy()
  }
})

class Load {
  readonly #ask: LoadAsk
  readonly #pool: Pool
  readonly #options: Dispatcher.DispatchOptions
  readonly #endMs: number
  readonly #requests: number
  readonly #latenciesMs: number[] = []
  #sent = 0
  #failures = 0
  #failure: string | null = null

  constructor(ask: LoadAsk, pool: Pool, path: string) {
    const headers = { 'content-type': 'application/json', ...ask.headers }
    this.#ask = ask
    this.#pool = pool
    this.#options = { path, method: 'POST', headers, body: ask.body }
    this.#endMs = performance.now() + (ask.seconds ?? Infinity) * 1000
    this.#requests = ask.requests ?? Infinity
  }

  async closed(clients: number): Promise<void> {
    await Promise.all(Array.from({ length: clients }, () => this.#client()))
  }

  async open(perSecond: number): Promise<void> {
    const startMs = performance.now()
    const running = new Set<Promise<void>>()
    while (!this.#isOver()) {
      const dueMs = startMs + (this.#sent * 1000) / perSecond
      if (performance.now() < dueMs) {
        await new Promise((resolve) => setImmediate(resolve))
        continue
      }
      this.#sent++
      const request = this.#send(dueMs).finally(() => running.delete(request))
      running.add(request)
    }
    await Promise.all(running)
  }

  answer(seconds: number): LoadAnswer {
    const latencies = this.#latenciesMs
    return {
      requests: latencies.length,
      failures: this.#failures,
      failure: this.#failure,
      seconds,
      p50Ms: latencies.length > 0 ? quantile(latencies, 0.5) : Number.NaN,
      p99Ms: latencies.length > 0 ? quantile(latencies, 0.99) : Number.NaN,
    }
  }

  async #client(): Promise<void> {
    while (!this.#isOver()) {
      this.#sent++
      await this.#send(performance.now())
    }
  }

  #isOver(): boolean {
    return this.#sent >= this.#requests || performance.now() >= this.#endMs
  }

  #send(startMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (failure: string | null) => {
        if (failure === null) {
          this.#latenciesMs.push(performance.now() - startMs)
        } else {
          this.#failures++
          this.#failure ??= failure
        }
        resolve()
      }
      this.#pool.dispatch(this.#options, new Answer(this.#ask.isStreamed, end))
    })
  }
}

/** One answer on its way in; only its status, its last bytes and its length are kept. */
class Answer implements Dispatcher.DispatchHandler {
  readonly #isStreamed: boolean
  readonly #end: (failure: string | null) => void
  #status = 0
  #last = ''

  constructor(isStreamed: boolean, end: (failure: string | null) => void) {
    this.#isStreamed = isStreamed
    this.#end = end
  }

  onRequestStart(): void {}

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    this.#status = status
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const tail = chunk.subarray(-200).toString('latin1')
    this.#last = (this.#last + tail).slice(-200)
  }

  onResponseEnd(): void {
    const isWhole = this.#isStreamed
      ? this.#last.trimEnd().endsWith(DONE.trimEnd())
      : this.#last.trimEnd().endsWith('}')
    const isRight = this.#status === 200 && isWhole
    this.#end(isRight ? null : `${this.#status}, …${this.#last}`)
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#end(error.message)
  }
}
