// Has the versions of a state loaded and warmed up on every host before it is live; makes room for them where asked to.
//
// Knows: the runtime, what is wanted. Does not know: the ledger's entries, who asks.

import { setTimeout as sleep } from 'node:timers/promises'

import { GatewayError } from '../errors.ts'
import { neededVersions, versionsOf } from './next-state.ts'
import { gibibytes } from './room.ts'
import { RuntimeError } from '../../runtime/client.ts'
import type { Logger } from '../logger.ts'
import type { FaultPoint } from './fault-point.ts'
import type { LiveDeployments } from './live.ts'
import type { Residency } from './residency.ts'
import type { Room } from './room.ts'
import type { TrafficState } from './state.ts'
import type { Runtime } from '../../runtime/client.ts'

export interface LoadingOptions {
  live: LiveDeployments
  residency: Residency
  /** null: there is none, and no local version can be deployed */
  runtime: Pick<Runtime, 'load' | 'unload' | 'stats'> | null
  room: Room
  reach: (point: FaultPoint) => void
  logger: Logger
}

/** every replica has seen by then that requests are to wait */
const CONVERGED_MS = 2_000
/** what still answers when its version has to make room gets this long */
const IDLE_MS = 20_000
const LOOK_MS = 50

export class Loading {
  readonly #options: LoadingOptions

  constructor(options: LoadingOptions) {
    this.#options = options
  }

  get isPossible(): boolean {
    return this.#options.runtime !== null
  }

  /** @returns why it can't be; null where everything that is to be live answers on every host */
  async load(
    model: string,
    state: TrafficState,
    needed: string[],
    replaces: boolean,
  ): Promise<string | null> {
    const { runtime, reach, live, logger } = this.#options
    if (!runtime) return null
    const ended: string[] = []
    try {
      if (replaces) await this.#makeRoom(model, state, ended)
      for (const id of needed) await runtime.load(id)
      reach('after-load')
      return null
    } catch (error) {
      if (!(error instanceof RuntimeError)) throw error
      logger.error({ err: error, model }, `a deployment of ${model} failed`)
      // Those who wait are answered by what answered before, if it can be had again.
      await Promise.allSettled(ended.map((version) => runtime.load(version)))
      await live.refresh()
      return error.message
    }
  }

  /** Has requests wait, and ends what only they wanted. @param ended gets what is not there any more, or may not be */
  async #makeRoom(model: string, state: TrafficState, ended: string[]): Promise<void> {
    const { runtime, live, reach } = this.#options
    if (!runtime) return
    await sleep(CONVERGED_MS)
    reach('after-hold')
    const others = live.list().filter((entry) => entry.model !== model)
    const wanted = new Set([state, ...others.map((entry) => entry.state)].flatMap(versionsOf))
    const { engines } = await runtime.stats()
    // With a base its adapters would go, on whichever host they are.
    const kept = new Set(
      engines.flatMap(({ version, adapters = [] }) =>
        [version, ...adapters].some((id) => wanted.has(id)) ? version : [],
      ),
    )
    const ours = engines.filter(
      ({ version }) => version.startsWith(`${model}@`) && !kept.has(version),
    )
    const old = [...new Set(ours.map(({ version }) => version))]
    for (const version of old) {
      await this.#whenIdle(version)
      ended.push(version)
      await runtime.unload(version)
    }
    reach('after-unload')
  }

  async #whenIdle(version: string): Promise<void> {
    const deadline = performance.now() + IDLE_MS
    while (performance.now() < deadline) {
      const { engines = [] } = (await this.#options.runtime?.stats()) ?? {}
      const isBusy = engines.some(
        (engine) => engine.version === version && engine.running + engine.waiting > 0,
      )
      if (!isBusy) return
      await sleep(LOOK_MS)
    }
  }

  /** @returns whether the old has to go first @throws GatewayError `not_enough_memory` where nobody allowed that */
  async mustReplace(model: string, needed: string[], mayReplace: boolean): Promise<boolean> {
    const { runtime, room } = this.#options
    if (!runtime || needed.length === 0) return false
    const { engines } = await reachable(runtime.stats())
    const ready = new Set(
      engines.flatMap(({ version, state }) => (state === 'ready' ? version : [])),
    )
    const shortage = await room(needed.filter((id) => !ready.has(id)))
    if (!shortage) return false
    if (mayReplace) return true
    throw new GatewayError(
      'not_enough_memory',
      `The new version needs about ${gibibytes(shortage.needBytes)} beside the old one, and ` +
        `${gibibytes(shortage.freeBytes)} are free. Nothing was changed. 'replace': true (--replace) ends the old one of '${model}' ` +
        'first; requests wait meanwhile.',
    )
  }

  /** Loads those that somebody unloaded a moment before they became live. */
  ensure(needed: readonly string[]): void {
    for (const id of needed) void this.#options.runtime?.load(id).catch(() => {})
  }

  /** An engine that can't be started is not kept; another state may want the version, or somebody may go back to it. */
  async drop(state: TrafficState): Promise<void> {
    const { runtime, residency } = this.#options
    const wanted = new Set(residency.wantedVersions().map(({ version }) => version))
    for (const version of neededVersions(state)) {
      if (!wanted.has(version)) await runtime?.unload(version).catch(() => {})
    }
  }
}

async function reachable<T>(asking: Promise<T>): Promise<T> {
  try {
    return await asking
  } catch (cause) {
    if (!(cause instanceof RuntimeError)) throw cause
    throw new GatewayError(
      'runtime_unreachable',
      "The runtime can't be reached at the moment; nothing was changed. Try again shortly.",
      { cause },
    )
  }
}
