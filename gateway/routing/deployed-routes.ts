// Routes to the models of the library: each leads where its live deployment says.
//
// `model@n` pins one version, whatever is deployed. A model that nothing is deployed of yet, as when it was imported a
// moment ago, is answered by its newest version.
//
// Knows: states, versions. Does not know: the ledger, how a state comes to be.

import { LRUCache } from 'lru-cache'

import { GatewayError } from '../errors.ts'
import type { Backend } from '../backends/backend.ts'
import type { TrafficState } from '../deployments/state.ts'
import type { VersionSource } from '../deployments/version-source.ts'
import type { Route, Routes, Target } from './route.ts'

/** how long a version that was taken away may go on to be asked for, at most */
const BELIEVED_MS = 1_000
/** as long as a request waits for a load */
const HELD_MS = 30_000

export interface LiveState {
  /** of the deployment; null: it could not be written down */
  id: number | null
  model: string
  state: TrafficState
}

export interface DeployedRoutesOptions {
  versions: VersionSource
  live: {
    find(model: string): LiveState | null
    list(): LiveState[]
    isHeld(model: string): boolean
    whenReleased(model: string, timeoutMs: number): Promise<boolean>
  }
  /** Makes the newest version of a model live that has never been deployed. @returns null where there is none */
  adopt: (model: string) => Promise<LiveState | null>
  /** of local versions; null: there is no runtime, and they answer for nothing */
  local: Backend | null
  /** of a declared upstream; undefined where there is none of that name */
  upstream: (name: string) => Backend | undefined
}

export class DeployedRoutes implements Routes {
  readonly #options: DeployedRoutesOptions
  // The library is folders and tables, and a busy gateway must not read them at every request.
  readonly #made = new LRUCache<string, { deployment: number | null; route: Route }>({
    max: 1_000,
    ttl: BELIEVED_MS,
  })

  constructor(options: DeployedRoutesOptions) {
    this.#options = options
  }

  async find(name: string): Promise<Route | null> {
    if (name.includes('@')) return this.#pinned(name)
    const { live, adopt } = this.#options
    if (live.isHeld(name)) await this.#release(name)
    const deployed = live.find(name) ?? (await adopt(name))
    return deployed && this.#routeOf(deployed)
  }

  async list(): Promise<Route[]> {
    const { live, versions, adopt } = this.#options
    const names = [...live.list().map(({ model }) => model), ...(await versions.listModels())]
    const routes = [...new Set(names)].sort().map(async (model) => {
      const deployed = live.find(model) ?? (await adopt(model))
      return deployed && this.#routeOf(deployed)
    })
    return (await Promise.all(routes)).filter((route) => route !== null)
  }

  async #routeOf(deployed: LiveState): Promise<Route | null> {
    const { id, model } = deployed
    const made = this.#made.get(model)
    if (made?.deployment === id) return made.route
    const route = await this.#routeTo(deployed)
    if (route) this.#made.set(model, { deployment: id, route })
    return route
  }

  /** @throws GatewayError `model_loading` */
  async #release(model: string): Promise<void> {
    if (await this.#options.live.whenReleased(model, HELD_MS)) return
    throw new GatewayError(
      'model_loading',
      `Another version of '${model}' is being loaded and was not ready within ${HELD_MS / 1000} s. Try again shortly.`,
    )
  }

  async #pinned(id: string): Promise<Route | null> {
    const made = this.#made.get(id)
    if (made) return made.route
    const target = await this.#target(id, 1)
    if (!target) return null
    const route = { ...BARE, model: id.slice(0, id.indexOf('@')), targets: [target] }
    this.#made.set(id, { deployment: null, route })
    return route
  }

  async #routeTo({ id, model, state }: LiveState): Promise<Route | null> {
    const targetOf = (version: string, weight = 1) => this.#target(version, weight, id ?? undefined)
    const { canary, shadow } = state
    const [targets, fallbacks, onTrial, copied] = await Promise.all([
      Promise.all(state.targets.map(({ version, weight }) => targetOf(version, weight))),
      Promise.all(state.fallbacks.map((version) => targetOf(version))),
      canary && targetOf(canary.version),
      shadow && targetOf(shadow.version),
    ])
    // A version that is gone gets no traffic; the others do.
    const there = (all: (Target | null)[]) => all.filter((target) => target !== null)
    const route: Route = {
      ...BARE,
      model,
      targets: there(targets),
      fallbacks: there(fallbacks),
      sticky: state.sticky,
      canary: canary && onTrial && { target: onTrial, share: canary.share },
      shadow: shadow && copied && { target: copied, share: shadow.share },
      ...(id !== null && { deployment: id }),
    }
    const isEmpty = route.targets.length + route.fallbacks.length === 0 && !route.canary
    return isEmpty ? null : route
  }

  async #target(id: string, weight: number, deployment?: number): Promise<Target | null> {
    const { versions, local, upstream } = this.#options
    const found = await versions.find(id)
    if (!found) return null
    const isLocal = found.kind === 'local'
    const backend = isLocal ? local : upstream(found.upstream)
    if (!backend) return null
    return {
      version: id,
      upstream: isLocal ? 'local' : found.upstream,
      ...(isLocal && found.task && { kind: found.task }),
      asks: isLocal ? id : found.asks,
      backend,
      weight,
      price: isLocal ? null : found.price,
      timeouts: {},
      created: found.created,
      ...(deployment !== undefined && { deployment }),
    }
  }
}

const BARE = {
  fallbacks: [],
  balance: 'weighted',
  stickyHeader: null,
  retries: 0,
  cacheSeconds: null,
} satisfies Partial<Route>
