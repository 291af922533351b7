// Several runtime hosts as one runtime: each request goes to a host that has its version and is least busy with it, each
// version to the hosts that have room for it.
//
// A host that vanishes is passed over: what had not begun to answer goes to another one, what had fails.
//
// Knows: hosts and what they say. Does not know: addresses, what is wanted, models.

import { RuntimeError } from '../../runtime/client.ts'
import { place, roomiest } from './placement.ts'
import type { Encoded, Runtime } from '../../runtime/client.ts'
import type {
  EncodeRequest,
  EngineStats,
  Fit,
  GenerateRequest,
  HostMemory,
  HostStats,
  LoadEvent,
  RuntimeErrorCode,
  VersionId,
  WantRequest,
} from '../../runtime/protocol.ts'
import type { FleetHost } from './fleet-host.ts'
import type { Offer } from './placement.ts'

/** what another host may do, as long as nothing of the answer is there; what is told where none does comes first */
const ELSEWHERE: RuntimeErrorCode[] = [
  'overloaded',
  'version_not_loaded',
  'draining',
  'runtime_unreachable',
]

export interface FleetStats extends HostStats {
  engines: (EngineStats & { host: string })[]
}

export class Fleet implements Runtime {
  readonly hosts: readonly FleetHost[]
  readonly #copies: number | null

  /**
   * @param hosts at least one
   * @param copies how many hosts should have a version; null: all that have room
   */
  constructor(hosts: readonly FleetHost[], copies: number | null = null) {
    this.hosts = hosts
    this.#copies = copies
  }

  generate(request: GenerateRequest, signal: AbortSignal): ReturnType<Runtime['generate']> {
    const [only] = this.hosts
    // Every delta would pass through one more pair of hands.
    if (only && this.hosts.length === 1) return only.runtime.generate(request, signal)
    return this.#generate(request, signal)
  }

  async *#generate(request: GenerateRequest, signal: AbortSignal) {
    const failures: RuntimeError[] = []
    let hasStarted = false
    for (const host of this.#inOrder(request.version)) {
      let hasAnswered = false
      host.open++
      try {
        for await (const event of host.runtime.generate(request, signal)) {
          if (event.type === 'started') {
            // Told once: the first host's prompt is as long as the second's.
            if (!hasStarted) yield event
            hasStarted = true
            continue
          }
          hasAnswered = true
          yield event
        }
        host.learn(request.version, true)
        return
      } catch (error) {
        if (hasAnswered) host.noticeFailure(request.version, error)
        if (hasAnswered || signal.aborted) throw error
        failures.push(passable(host, request.version, error))
      } finally {
        host.open--
      }
    }
    throw mostTelling(failures)
  }

  async encode(request: EncodeRequest, signal: AbortSignal): Promise<Encoded> {
    const failures: RuntimeError[] = []
    for (const host of this.#inOrder(request.version)) {
      host.open++
      try {
        const encoded = await host.runtime.encode(request, signal)
        host.learn(request.version, true)
        return encoded
      } catch (error) {
        if (signal.aborted) throw error
        failures.push(passable(host, request.version, error))
      } finally {
        host.open--
      }
    }
    throw mostTelling(failures)
  }

  /** For requests, which wait for the first copy and not for the slowest host. */
  get onDemand(): Pick<Runtime, 'generate' | 'encode' | 'load'> {
    return {
      generate: (request, signal) => this.generate(request, signal),
      encode: (request, signal) => this.encode(request, signal),
      load: async (version, onProgress) => {
        const copies = await this.#loadCopies(version, onProgress)
        await Promise.any(copies).catch(({ errors }: AggregateError) => {
          throw mostTelling(errors)
        })
      },
    }
  }

  /** Waits for all copies; the best decides: what goes wrong with others is of no consequence to whoever waits. */
  async load(version: VersionId, onProgress?: (event: LoadEvent) => void): Promise<void> {
    const outcomes = await Promise.allSettled(await this.#loadCopies(version, onProgress))
    if (outcomes.some(({ status }) => status === 'fulfilled')) return
    throw mostTelling(outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason] : [])))
  }

  /** @returns what becomes of each copy, one at least */
  async #loadCopies(
    version: VersionId,
    onProgress?: (event: LoadEvent) => void,
  ): Promise<Promise<void>[]> {
    const offers = await this.offers(version)
    const { present, chosen, mayEvict } = place(offers, this.#copies)
    // Whoever has the least too little says best what is in the way.
    const refuser = roomiest(offers)
    const asked = present.length + chosen.length > 0 ? [...present, ...chosen] : [refuser!.host]
    return asked.map(async (host) => {
      try {
        await host.runtime.load(version, onProgress, { mayEvict: mayEvict || asked.length === 1 })
        host.learn(version, true)
      } catch (error) {
        host.noticeFailure(version, error)
        throw error
      }
    })
  }

  async unload(version: VersionId): Promise<void> {
    await this.#some((host) => host.runtime.unload(version))
    for (const host of this.hosts) host.learn(version, false)
  }

  async want(request: WantRequest): Promise<void> {
    await this.#some((host) => host.runtime.want(request))
  }

  /** What the host says that would be asked first. */
  async fit(version: VersionId): Promise<Fit> {
    const offers = await this.offers(version)
    return (offers.find(({ fit }) => fit.isLoaded) ?? roomiest(offers)!).fit
  }

  async stats(): Promise<FleetStats> {
    await this.look()
    const all = this.hosts.flatMap(({ stats }) => stats ?? [])
    const [first] = all
    if (!first) throw mostTelling(this.hosts.map(({ error }) => error))
    const engines = this.hosts.flatMap(
      ({ name, stats }) => stats?.engines.map((engine) => ({ ...engine, host: name })) ?? [],
    )
    const memory = all.map((stats) => stats.memory).reduce(sum)
    return { pid: first.pid, device: first.device, memory, engines }
  }

  /** Asks every host how it is. */
  async look(): Promise<void> {
    await Promise.all(this.hosts.map((host) => host.look()))
  }

  async close(): Promise<void> {
    await Promise.all(this.hosts.map(({ runtime }) => runtime.close()))
  }

  /** Those that serve the version first, those that were away last; the least busy first among equals. */
  #inOrder(version: VersionId): FleetHost[] {
    const rank = (host: FleetHost) => (!host.isUp ? 2 : host.serves(version) === false ? 1 : 0)
    return this.hosts.toSorted(
      (a, b) => rank(a) - rank(b) || a.pressure(version) - b.pressure(version),
    )
  }

  /** What each host says of a version. @returns at least one @throws RuntimeError where no host has the version's folder, or none can be reached */
  async offers(version: VersionId): Promise<Offer<FleetHost>[]> {
    await this.look()
    const isAnyUp = this.hosts.some(({ isUp }) => isUp)
    return this.#some(async (host) => {
      // It would take its time to say nothing.
      if (isAnyUp && !host.isUp) throw host.error
      const fit = await host.runtime.fit(version)
      return { host, device: host.stats?.device ?? 'cpu', fit }
    })
  }

  /** @returns what those gave that could @throws what went wrong, where none could */
  async #some<T>(ask: (host: FleetHost) => Promise<T>): Promise<T[]> {
    const outcomes = await Promise.allSettled(this.hosts.map(ask))
    const given = outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    if (given.length > 0) return given
    throw mostTelling(outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason] : [])))
  }
}

/** @returns the error, where another host may do what this one didn't @throws it, where none could */
function passable(host: FleetHost, version: VersionId, error: unknown): RuntimeError {
  host.noticeFailure(version, error)
  if (error instanceof RuntimeError && ELSEWHERE.includes(error.code)) return error
  throw error
}

function mostTelling(failures: unknown[]): unknown {
  const rank = (failure: unknown) =>
    failure instanceof RuntimeError ? ELSEWHERE.indexOf(failure.code) : -1
  return failures.toSorted((a, b) => rank(a) - rank(b))[0]
}

function sum(a: HostMemory, b: HostMemory): HostMemory {
  return {
    totalBytes: a.totalBytes + b.totalBytes,
    freeBytes: a.freeBytes + b.freeBytes,
    budgetBytes: a.budgetBytes + b.budgetBytes,
    usedBytes: a.usedBytes + b.usedBytes,
  }
}
