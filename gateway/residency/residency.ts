// Which versions this gateway wants resident, and that they are.
//
// Whoever decides (deployments, the default model, HEADRACE_KEEP_WARM) hands over its list. The hosts are told the union
// again and again, so that they end nothing of it, and forget it when this gateway is gone; where a host lacks a wanted
// version and has room, the version is loaded there, also on a host that has come back.
//
// Knows: lists of versions, the fleet. Does not know: why something is wanted, traffic, HTTP.

import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'

import { RuntimeError } from '../../runtime/client.ts'
import { findShortage } from './placement.ts'
import type { Device, EngineStats, Fit, HostMemory, LoadEvent } from '../../runtime/protocol.ts'
import type { Logger } from '../logger.ts'
import type { Fleet } from './fleet.ts'
import type { FleetHost } from './fleet-host.ts'
import type { Shortage } from './placement.ts'

export interface HostReport {
  name: string
  isUp: boolean
  /** null where it is away */
  device: Device | null
  memory: HostMemory | null
  engines: EngineStats[]
}

interface ResidencyOptions {
  fleet: Fleet
  /** how many hosts should have a version; null: all that have room */
  copies: number | null
  /** how long a host believes that something is wanted after it was told */
  wantedForMs?: number
  logger: Logger
}

const LOOK_MS = 1_000
/** hosts are told what is wanted this often, and forget it after missing it a few times: what a dead gateway wanted goes */
const TELL_MS = 4_000
const WANTED_FOR_MS = 15_000
/** of a version that some host has no room for, or that can't be loaded; sooner where hosts come or go */
const AGAIN_MS = 15_000

export class Residency {
  readonly #options: ResidencyOptions
  readonly #by = randomUUID()
  readonly #lists = new Map<string, string[]>()
  readonly #followed = new Map<string, () => readonly string[] | Promise<readonly string[]>>()
  readonly #closing = new AbortController()
  /** when each wanted version was last seen to, and with which hosts */
  readonly #attempts = new Map<string, { atMs: number; hosts: string }>()
  readonly #loading = new Set<string>()
  readonly #told = new Map<FleetHost, { atMs: number; versions: string }>()

  constructor(options: ResidencyOptions) {
    this.#options = options
  }

  /** Looks after what is wanted until it is closed. */
  start(): void {
    void this.#run()
  }

  close(): void {
    this.#closing.abort()
  }

  /**
   * Replaces what one source wants resident; each is loaded where it isn't, and never ended for another.
   * @param versions full ids
   */
  wanted(versions: readonly string[], source = 'deployments'): void {
    this.#lists.set(source, [...versions])
  }

  /** As `wanted`, for a source whose list is read anew again and again. */
  follow(source: string, read: () => readonly string[] | Promise<readonly string[]>): void {
    this.#followed.set(source, read)
  }

  isWanted(version: string): boolean {
    return [...this.#lists.values()].some((versions) => versions.includes(version))
  }

  /**
   * Whether a version could be loaded now beside all that is wanted or at work.
   * @throws RuntimeError where no host has it, or none can be reached
   */
  canFit(version: string): Promise<Fit> {
    return this.#options.fleet.fit(version)
  }

  /**
   * What is missing so that all of these could be loaded now, each on a host at least; null where nothing is.
   * @throws RuntimeError where no host has one of them, or none can be reached
   */
  async shortage(versions: readonly string[]): Promise<Shortage | null> {
    const { fleet } = this.#options
    return findShortage(await Promise.all(versions.map((id) => fleet.offers(id))))
  }

  /** Resolves when at least one host answers for it, and those that have room have tried. @throws RuntimeError */
  async load(version: string, onProgress?: (event: LoadEvent) => void): Promise<void> {
    // First what must not be ended for it.
    await this.#tell()
    await this.#options.fleet.load(version, onProgress)
  }

  /** Lets its requests finish, everywhere. One that is wanted comes back. @throws RuntimeError */
  async unload(version: string): Promise<void> {
    await this.#options.fleet.unload(version)
    this.#attempts.delete(version)
  }

  /** What is where, as the hosts say it now. */
  async ps(): Promise<HostReport[]> {
    await this.#options.fleet.look()
    return this.#options.fleet.hosts.map(({ name, isUp, stats }) => ({
      name,
      isUp,
      device: stats?.device ?? null,
      memory: stats?.memory ?? null,
      engines: stats?.engines ?? [],
    }))
  }

  async #run(): Promise<void> {
    const { fleet, logger } = this.#options
    const { signal } = this.#closing
    while (!signal.aborted) {
      try {
        await fleet.look()
        for (const [source, read] of this.#followed) await this.#read(source, read)
        await this.#tell()
        for (const version of this.#all()) this.#seeTo(version)
      } catch (error) {
        logger.error({ err: error }, 'what is to be loaded could not be looked after')
      }
      await sleep(LOOK_MS, undefined, { signal }).catch(() => {})
    }
  }

  /** One that can't be read wants what it wanted: hosts would forget it, and end it. */
  async #read(source: string, read: () => readonly string[] | Promise<readonly string[]>) {
    try {
      this.wanted(await read(), source)
    } catch (error) {
      this.#options.logger.error({ err: error }, `what is wanted (${source}) could not be read`)
    }
  }

  #all(): Set<string> {
    return new Set([...this.#lists.values()].flat())
  }

  async #tell(): Promise<void> {
    const forMs = this.#options.wantedForMs ?? WANTED_FOR_MS
    const versions = [...this.#all()].sort()
    const key = versions.join('\n')
    await Promise.all(
      this.#options.fleet.hosts.map(async (host) => {
        if (!host.isUp) return void this.#told.delete(host)
        const told = this.#told.get(host)
        const atMs = performance.now()
        if (told && told.versions === key && atMs - told.atMs < TELL_MS) return
        // What can't be told now is told in a second.
        await host.runtime.want({ by: this.#by, versions, forMs }).then(
          () => this.#told.set(host, { atMs, versions: key }),
          () => this.#told.delete(host),
        )
      }),
    )
  }

  #seeTo(version: string): void {
    const { fleet, copies, logger } = this.#options
    const up = fleet.hosts.filter(({ isUp }) => isUp)
    const having = up.filter((host) => host.has(version)).length
    if (this.#loading.has(version)) return
    // Nothing was in vain: what is missing after this is another matter.
    if (having >= Math.min(copies ?? Infinity, up.length))
      return void this.#attempts.delete(version)
    // One that was away for less than a look is another one too, with nothing loaded.
    const hosts = up.map(({ name, stats }) => `${name} ${stats?.pid}`).join('\n')
    const last = this.#attempts.get(version)
    const atMs = performance.now()
    if (last && last.hosts === hosts && atMs - last.atMs < AGAIN_MS) return
    this.#attempts.set(version, { atMs, hosts })
    this.#loading.add(version)
    fleet
      .load(version)
      .catch((error: unknown) => {
        const reason = error instanceof RuntimeError ? error.message : String(error)
        logger.warn({ version }, `${version} is wanted and can't be loaded: ${reason}`)
      })
      .finally(() => this.#loading.delete(version))
  }
}
