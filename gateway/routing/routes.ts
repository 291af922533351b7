// Routes to the models of the library: each is answered by what is live of it.

import { LRUCache } from 'lru-cache'

import type { Backend } from '../backends/backend.ts'
import type { KnownVersion, Versions } from '../versions.ts'
import type { Route, Routes } from './route.ts'

/** how long a new version of a model takes to answer at most */
const BELIEVED_MS = 1_000

/** of a gateway without a runtime: no version could answer */
export const NO_LIBRARY: Routes = {
  find: () => Promise.resolve(null),
  list: () => Promise.resolve([]),
}

export class StoredRoutes implements Routes {
  readonly #versions: Versions
  readonly #backend: Backend
  // The library is folders, and a busy gateway must not read them at every request.
  readonly #found = new LRUCache<string, Route>({ max: 1_000, ttl: BELIEVED_MS })

  constructor(versions: Versions, backend: Backend) {
    this.#versions = versions
    this.#backend = backend
  }

  async find(name: string): Promise<Route | null> {
    const known = this.#found.get(name)
    if (known) return known
    const version = await this.#versions.resolve(name)
    if (!version) return null
    const route = this.#routeTo(version)
    this.#found.set(name, route)
    return route
  }

  async list(): Promise<Route[]> {
    const names = await this.#versions.listModels()
    const routes = await Promise.all(names.map((name) => this.find(name)))
    return routes.filter((route) => route !== null)
  }

  #routeTo({ id, manifest }: KnownVersion): Route {
    return {
      model: manifest.model,
      targets: [
        {
          version: id,
          upstream: 'local',
          asks: id,
          backend: this.#backend,
          weight: 1,
          price: null,
          timeouts: {},
          created: manifest.created,
        },
      ],
      fallbacks: [],
      balance: 'weighted',
      stickyHeader: null,
      retries: 0,
      cacheSeconds: null,
    }
  }
}
