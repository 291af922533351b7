// What the gateway has to know of the model store: which version answers for a name.

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
