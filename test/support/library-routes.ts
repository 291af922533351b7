// Routes to versions that a test names, without a ledger: each model is answered by its newest.

import { DeployedRoutes } from '../../gateway/routing/deployed-routes.ts'
import type { ModelKind } from '../../gateway/routing/route.ts'
import type { Backend } from '../../gateway/backends/backend.ts'
import type { TrafficState } from '../../gateway/deployments/state.ts'

export interface NamedVersion {
  /** `model@n` */
  id: string
  /** ISO 8601 */
  created: string
  /** absent: nobody told */
  task?: ModelKind
}

/**
 * @param versions oldest first
 * @param states what is deployed of models; of others the newest version
 */
export function libraryRoutes(
  versions: readonly NamedVersion[],
  local: Backend,
  states: Record<string, TrafficState> = {},
): DeployedRoutes {
  const modelOf = ({ id }: NamedVersion) => id.slice(0, id.indexOf('@'))
  const newestOf = (model: string) =>
    versions.findLast((version) => modelOf(version) === model)?.id ?? null
  return new DeployedRoutes({
    versions: {
      async find(id) {
        const version = versions.find((version) => version.id === id)
        if (!version) return null
        return { kind: 'local', task: version.task, created: version.created }
      },
      listModels: async () => [...new Set(versions.map(modelOf))],
      newestOf: async (model) => newestOf(model),
    },
    live: {
      find: () => null,
      list: () => [],
      isHeld: () => false,
      whenReleased: async () => true,
    },
    adopt: async (model) => {
      const deployed = Object.hasOwn(states, model) ? states[model] : undefined
      if (deployed) return { id: 7, model, state: deployed }
      const version = newestOf(model)
      if (version === null) return null
      const targets = [{ version, weight: 1 }]
      const state = {
        targets,
        canary: null,
        shadow: null,
        fallbacks: [],
        sticky: 'session' as const,
      }
      return { id: null, model, state }
    },
    local,
    upstream: () => undefined,
  })
}
