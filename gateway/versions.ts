// What the gateway has to know of the model store: which version answers for a name.

import { GatewayError } from './errors.ts'

/** One version, as far as answers and listings need it. */
export interface KnownVersion {
  /** full id, `model@version` */
  id: string
  manifest: {
    model: string
    /** ISO 8601 */
    created: string
  }
}

export interface Versions {
  /** @param name `model` for what is live, `model@version` for one version; null where there is none */
  resolve(name: string): Promise<KnownVersion | null>
  listModels(): Promise<string[]>
}

export async function findVersion(versions: Versions, name: string): Promise<KnownVersion> {
  const version = await versions.resolve(name)
  if (version) return version
  throw new GatewayError(
    'model_not_found',
    `The model '${name}' does not exist on this server. GET /v1/models lists those that do.`,
    { param: 'model' },
  )
}
