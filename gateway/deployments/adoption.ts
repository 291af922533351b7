// The first deployment of a model: its newest version, when it first appears in the library. From then on a newer one
// gets traffic by a deployment alone.
//
// Knows: the ledger, versions. Does not know: requests, engines.

import { GatewayError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import type { LiveState } from '../routing/deployed-routes.ts'
import type { Ledger } from './ledger.ts'
import type { LiveDeployments } from './live.ts'
import type { TrafficState } from './state.ts'
import type { VersionSource } from './version-source.ts'
import type { Actor } from '../db/audit.ts'

/** Who does what nobody asked for. */
const GATEWAY: Actor = { id: null, name: 'headrace', via: 'gateway' }

export interface AdoptionOptions {
  ledger: Ledger
  live: LiveDeployments
  versions: VersionSource
  isDeclared: (model: string) => boolean
  logger: Logger
}

export class Adoption {
  readonly #options: AdoptionOptions
  readonly #adopting = new Map<string, Promise<LiveState | null>>()

  constructor(options: AdoptionOptions) {
    this.#options = options
  }

  /** @returns what answers for a model that has no deployment, its first one now; null where it has no version either */
  adopt(model: string): Promise<LiveState | null> {
    let adopting = this.#adopting.get(model)
    if (!adopting) {
      adopting = this.#adopt(model).finally(() => this.#adopting.delete(model))
      this.#adopting.set(model, adopting)
    }
    return adopting
  }

  /** Adopts whatever is new in the library. */
  async look(): Promise<void> {
    const { live, versions, isDeclared } = this.#options
    for (const model of await versions.listModels()) {
      if (!live.find(model) && !isDeclared(model)) await this.adopt(model)
    }
  }

  async #adopt(model: string): Promise<LiveState | null> {
    const { ledger, live, versions, logger } = this.#options
    const known = live.find(model)
    if (known) return known
    const version = await versions.newestOf(model)
    if (version === null) return null
    const state: TrafficState = {
      targets: [{ version, weight: 1 }],
      canary: null,
      shadow: null,
      fallbacks: [],
      sticky: 'session',
    }
    const reason = 'The first version of the model to appear.'
    try {
      const draft = { basedOn: null, restores: null, reason, actor: GATEWAY }
      await ledger.append({ model, action: 'adopt', state, ...draft })
      await live.refresh()
    } catch (error) {
      // Another replica was quicker, or an administrator.
      if (error instanceof GatewayError) await live.refresh()
      else logger.warn({ err: error, model }, `${version} answers, and the ledger does not know`)
    }
    return live.find(model) ?? { id: null, model, state }
  }
}
