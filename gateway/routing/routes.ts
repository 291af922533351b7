// Routes to the models of the library: each is answered by what is live of it.

import type { Backend } from '../backends/backend.ts'
import type { KnownVersion, Versions } from '../versions.ts'
import type { Route, Routes } from './route.ts'

export class StoredRoutes implements Routes {
  readonly #versions: Versions
  readonly #backend: Backend

  constructor(versions: Versions, backend: Backend) {
    this.#versions = versions
    this.#backend = backend
  }

  async find(name: string): Promise<Route | null> {
    const version = await this.#versions.resolve(name)
    return version && this.#routeTo(version)
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
