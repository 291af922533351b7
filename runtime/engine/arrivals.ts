// Adapters on their way into an engine, and requests that name one before it is there.
//
// A request waits for its adapter as it would for a slot: it may be cancelled, and is served by an engine that drains. What is
// asked of adapters is done one after the other, so that one that is dropped and comes again is there.
//
// Knows: messages about adapters. Does not know: processes, what an adapter is in memory.

import type { PackedAdapter } from '../graph/packed-adapter.ts'
import type { VersionId } from '../protocol.ts'
import type { Loop } from './loop.ts'
import type { EngineRequest } from './messages.ts'

interface ArrivalOptions {
  engine: Pick<Loop, 'adapters'>
  read: (folder: string) => Promise<PackedAdapter>
  /** takes a request whose adapter is there, or will not come */
  submit: (request: EngineRequest) => void
}

interface Arrival {
  /** it may come, be dropped, and come again */
  times: number
  /** by their ids */
  requests: Map<string, EngineRequest>
}

export class Arrivals {
  readonly #options: ArrivalOptions
  readonly #arrivals = new Map<VersionId, Arrival>()
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: ArrivalOptions) {
    this.#options = options
  }

  get isEmpty(): boolean {
    return this.#arrivals.size === 0
  }

  /** @returns whether it waits here now */
  hold(request: EngineRequest): boolean {
    const arrival = this.#arrivals.get(request.version)
    arrival?.requests.set(request.id, request)
    return arrival !== undefined
  }

  cancel(id: string): void {
    for (const { requests } of this.#arrivals.values()) requests.delete(id)
  }

  /** @param told how it went, before any request that waited for it is submitted */
  async take(
    version: VersionId,
    folder: string,
    told: (failure: { cause: unknown } | null) => void,
  ): Promise<void> {
    const { engine, read, submit } = this.#options
    const arrival = this.#arrivals.get(version) ?? { times: 0, requests: new Map() }
    this.#arrivals.set(version, arrival)
    arrival.times++
    await this.#next(async () => {
      try {
        const adapter = await read(folder)
        await engine.adapters.prepare()
        engine.adapters.add(version, adapter)
        told(null)
      } catch (cause) {
        told({ cause })
      }
      if (--arrival.times > 0) return
      for (const request of arrival.requests.values()) submit(request)
      // Not before: a process that drains ends as soon as nothing is in hand.
      this.#arrivals.delete(version)
    })
  }

  drop(version: VersionId): void {
    void this.#next(() => this.#options.engine.adapters.drop(version))
  }

  /** Resolves when nothing is on its way. */
  async settled(): Promise<void> {
    await this.#last
  }

  #next(work: () => Promise<void> | void): Promise<void> {
    const done = this.#last.then(work)
    this.#last = done
    return done
  }
}
