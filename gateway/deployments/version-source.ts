// What a deployment may name: versions, and what it takes to ask one.
//
// Checklist for another kind of version: a kind here, its target in gateway/routing/deployed-routes.ts.

import type { ModelKind, Price } from '../routing/route.ts'
import type { ModelStore } from '../../models/store.ts'

type DeployableVersion =
  | {
      kind: 'local'
      /** what its model does; absent: nobody told */
      task?: ModelKind
      /** ISO 8601 */
      created: string
    }
  | {
      kind: 'upstream'
      /** the name of a declared one */
      upstream: string
      /** what it is asked for there */
      asks: string
      price: Price | null
      /** ISO 8601 */
      created: string
    }

export interface VersionSource {
  /** @param id full id, `model@n`; null where there is none that may answer */
  find(id: string): Promise<DeployableVersion | null>
  /** Those that have a version that may answer. */
  listModels(): Promise<string[]>
  /** What is adopted when a model first appears: the newest of its versions that may answer; null where there is none. */
  newestOf(model: string): Promise<string | null>
}

/** The version folders of the data folder. */
export function storedVersions(store: ModelStore): VersionSource {
  return {
    async find(id) {
      const version = id.includes('@') ? await store.resolve(id) : null
      if (!version) return null
      const { created, kind } = version.manifest
      return { kind: 'local', task: kind, created }
    },
    listModels: () => store.listModels(),
    newestOf: async (model) => (await store.resolve(model))?.id ?? null,
  }
}
