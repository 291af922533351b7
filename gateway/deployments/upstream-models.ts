// How many deployed models have an upstream's version to answer for them: what /readyz tells of a server whose models are in
// the catalog alone.
//
// Knows: what is live, versions. Does not know: whether an upstream is well.

import type { LiveDeployments } from './live.ts'
import type { VersionSource } from './version-source.ts'

const LOOK_MS = 2_000

export interface UpstreamModelsOptions {
  live: Pick<LiveDeployments, 'list'>
  versions: Pick<VersionSource, 'find'>
  /** whether one of this name is declared */
  hasUpstream: (name: string) => boolean
  /** whose declaration says who answers, whatever was deployed once */
  isDeclared: (model: string) => boolean
}

export class UpstreamModels {
  readonly #options: UpstreamModelsOptions
  #count = 0
  #timer: NodeJS.Timeout | null = null
  #looking: Promise<void> = Promise.resolve()
  #isClosed = false

  constructor(options: UpstreamModelsOptions) {
    this.#options = options
  }

  get count(): number {
    return this.#count
  }

  /** Looks now, and again and again. */
  async start(): Promise<void> {
    this.#looking = this.#look()
    await this.#looking
    if (this.#isClosed) return
    this.#timer = setTimeout(() => void this.start(), LOOK_MS).unref()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    if (this.#timer) clearTimeout(this.#timer)
    await this.#looking
  }

  async #look(): Promise<void> {
    const { live, versions, hasUpstream, isDeclared } = this.#options
    const answers = async (id: string) => {
      const version = await versions.find(id)
      return version?.kind === 'upstream' && hasUpstream(version.upstream)
    }
    try {
      let count = 0
      for (const { model, state } of live.list()) {
        if (isDeclared(model)) continue
        const named = [...state.targets.map(({ version }) => version), ...state.fallbacks]
        const found = await Promise.all(named.map(answers))
        if (found.includes(true)) count++
      }
      this.#count = count
    } catch {
      // The database is away, which others say; what was known goes on.
    }
  }
}
