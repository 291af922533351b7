// Routes as they are declared, over the models of the library.
//
// A declared name comes first; every other name is the library's. A target that names a model of the library is answered as
// that model is deployed: by all of its versions, by their weights, the one on trial among them. `name@version` pins one target: of a declared model by
// the version that answers say, else one version of the library.
//
// Knows: declarations, the library's routes. Does not know: files.

import type { Backend } from '../backends/backend.ts'
import type { Route, Routes, Target, Timeouts } from '../routing/route.ts'
import type { Declaration, DeclaredModel, DeclaredTarget, DeclaredTimeouts } from './schema.ts'
import type { Upstreams } from './upstreams.ts'

const RETRIES = 2

export class DeclaredRoutes implements Routes {
  readonly #library: Routes
  readonly #upstreams: Upstreams
  #declaration: Declaration = {}
  /** a map: names such as `constructor` are somewhere in every object */
  #models = new Map<string, DeclaredModel>()
  #since = new Date().toISOString()

  constructor(library: Routes, upstreams: Upstreams) {
    this.#library = library
    this.#upstreams = upstreams
  }

  /** @throws what making a backend throws, with nothing changed */
  declare(declaration: Declaration): void {
    this.#upstreams.replace(declaration.upstreams ?? {})
    this.#declaration = declaration
    this.#models = new Map(Object.entries(declaration.models ?? {}))
    this.#since = new Date().toISOString()
  }

  async find(name: string): Promise<Route | null> {
    const at = name.indexOf('@')
    const model = at < 0 ? name : name.slice(0, at)
    const declared = this.#models.get(model)
    if (!declared) return this.#library.find(name)
    const route = await this.#routeTo(model, declared)
    if (at < 0) return route
    const all = [...route.targets, ...route.fallbacks]
    const pinned =
      all.find(({ version }) => version === name) ?? all.find(named(name.slice(at + 1)))
    if (pinned) return { ...route, targets: [{ ...pinned, weight: 1 }], fallbacks: [] }
    return this.#library.find(name)
  }

  async list(): Promise<Route[]> {
    const declared = [...this.#models].map(([name, model]) => this.#routeTo(name, model))
    const routes = await Promise.all(declared)
    const library = await this.#library.list()
    return [...routes, ...library.filter(({ model }) => !this.#models.has(model))]
  }

  /** Whether a name is declared: what answers for it is not deployed then. */
  declares(model: string): boolean {
    return this.#models.has(model)
  }

  /** @returns the first declared model that names this version of the library; null: none does */
  modelNaming(version: string): string | null {
    for (const [name, { targets, fallbacks = [] }] of this.#models) {
      if ([...targets, ...fallbacks].some((target) => target.version === version)) return name
    }
    return null
  }

  backendOf(upstream: string): Backend | undefined {
    return this.#upstreams.get(upstream)
  }

  /** How many models have an upstream to answer for them. */
  get upstreamModels(): number {
    let count = 0
    for (const { targets, fallbacks = [] } of this.#models.values()) {
      if ([...targets, ...fallbacks].some(({ upstream }) => upstream !== undefined)) count++
    }
    return count
  }

  /** Who takes what names no model. */
  defaultTarget(): Target | null {
    const name = this.#declaration.default_upstream
    return name === undefined ? null : this.#upstreamTarget({ upstream: name, model: '' })
  }

  async #routeTo(name: string, model: DeclaredModel): Promise<Route> {
    const {
      targets,
      fallbacks = [],
      balance,
      sticky_header: sticky,
      retries,
      cache_s: cache,
    } = model
    const whole = await this.#deployedAs(targets)
    const instead = await this.#targets(fallbacks)
    return {
      ...whole,
      model: name,
      targets: whole?.targets ?? (await this.#targets(targets)),
      fallbacks: whole ? unique([...instead, ...whole.fallbacks]) : instead,
      balance: balance ?? 'weighted',
      stickyHeader: sticky?.toLowerCase() ?? null,
      retries: retries ?? this.#declaration.defaults?.retries ?? RETRIES,
      cacheSeconds: cache ?? null,
    }
  }

  async #targets(declared: DeclaredTarget[]): Promise<Target[]> {
    const targets = await Promise.all(
      declared.map(async (target) =>
        target.version === undefined
          ? [this.#upstreamTarget(target)]
          : this.#libraryTargets(target),
      ),
    )
    // A version that the library doesn't have yet gets no traffic; the others do.
    return unique(targets.flat().filter((target) => target !== null))
  }

  /** A version, or all that a model is deployed as: they share the weight, the one on trial with its share. */
  async #libraryTargets(declared: DeclaredTarget): Promise<Target[]> {
    const route = await this.#library.find(declared.version ?? '')
    if (!route) return []
    const { canary } = route
    const weight = declared.weight ?? 1
    const onTrial = weight * (canary?.share ?? 0)
    const whole = route.targets.reduce((sum, target) => sum + target.weight, 0)
    const live = route.targets.map((target) =>
      this.#asDeclared(target, declared, ((weight - onTrial) * target.weight) / whole),
    )
    return canary ? [...live, this.#asDeclared(canary.target, declared, onTrial)] : live
  }

  /**
   * Of the only target, where it is a model of the library: the whole of its deployment, with who is on trial, who is copied,
   * and what keeps a conversation on one version.
   */
  async #deployedAs(targets: DeclaredTarget[]): Promise<Route | null> {
    const [only, ...others] = targets
    if (only?.version === undefined || only.version.includes('@') || others.length > 0) return null
    const route = await this.#library.find(only.version)
    if (!route) return null
    const asDeclared = (target: Target) => this.#asDeclared(target, only, target.weight)
    const { canary } = route
    return {
      ...route,
      targets: route.targets.map(asDeclared),
      fallbacks: route.fallbacks.map(asDeclared),
      canary: canary && { ...canary, target: asDeclared(canary.target) },
    }
  }

  #asDeclared(target: Target, declared: DeclaredTarget, weight: number): Target {
    const { price, timeouts } = this.#settingsOf(declared)
    // What the catalog says a version costs stays where the declaration says nothing.
    return { ...target, weight, price: price ?? target.price, timeouts }
  }

  #upstreamTarget(declared: DeclaredTarget): Target | null {
    const { upstream = '', model = '' } = declared
    const backend = this.#upstreams.get(upstream)
    if (!backend) return null
    return {
      version: `${model}@${upstream}`,
      upstream,
      asks: model,
      backend,
      created: this.#since,
      ...this.#settingsOf(declared),
    }
  }

  #settingsOf({ weight, price, timeouts }: DeclaredTarget) {
    const defaults = this.#declaration.defaults?.timeouts
    return {
      weight: weight ?? 1,
      price: price
        ? {
            input: price.input,
            output: price.output,
            ...(price.cached_input !== undefined && { cachedInput: price.cached_input }),
            ...(price.second !== undefined && { second: price.second }),
          }
        : null,
      timeouts: timeoutsOf({ ...defaults, ...timeouts }),
    }
  }
}

/** `gpt-4o@openai` is also `chat@openai`, where the model `chat` has it among its targets. */
const named =
  (suffix: string) =>
  ({ upstream }: Target) =>
    upstream === suffix

/** Each version once, with all of its weight. */
function unique(targets: Target[]): Target[] {
  const byVersion = new Map<string, Target>()
  for (const target of targets) {
    const first = byVersion.get(target.version)
    const weight = (first?.weight ?? 0) + target.weight
    byVersion.set(target.version, { ...(first ?? target), weight })
  }
  return [...byVersion.values()]
}

function timeoutsOf({ first_token_ms, stall_ms, total_ms }: DeclaredTimeouts): Timeouts {
  return {
    ...(first_token_ms !== undefined && { firstTokenMs: first_token_ms }),
    ...(stall_ms !== undefined && { stallMs: stall_ms }),
    ...(total_ms !== undefined && { totalMs: total_ms }),
  }
}
