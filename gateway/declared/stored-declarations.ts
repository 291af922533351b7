// What was declared by the admin API, kept up to date on every replica.
//
// A change is called out by PostgreSQL and looked for once a second besides: calls get lost. While PostgreSQL is away
// what was known goes on. A row that can't be used, because its secret doesn't open, say, is left out and named.
//
// Knows: the tables, secrets. Does not know: what is made of a declaration, HTTP.

import { DECLARED_CHANNEL, readDeclaredRevision } from '../db/declared-revision.ts'
import { listDeclaredModels } from '../db/declared-models.ts'
import { Follower } from '../db/follower.ts'
import { listUpstreams } from '../db/upstreams.ts'
import { problemsOf, written } from './check.ts'
import { openSecret } from './stored-secret.ts'
import type { StoredModel } from '../db/declared-models.ts'
import type { Pool } from '../db/pool.ts'
import type { StoredUpstream } from '../db/upstreams.ts'
import type { Logger } from '../logger.ts'
import type { Keyring } from '../secrets.ts'
import type { Declaration, DeclaredModel, DeclaredUpstream } from './schema.ts'

/** All replicas follow within two seconds, also where calls are lost; a look costs one row of a table of one row. */
const POLL_MS = 1_000

export interface StoredDeclarationsOptions {
  pool: Pool
  keyring: Keyring
  logger: Logger
  /** @throws where it can't be put to work; what was declared before stays then */
  onDeclaration: (declaration: Declaration) => void
}

export interface StoredState {
  /** counts changes; null before the first was read */
  revision: string | null
  /** ISO 8601, of what is in force; null before the first */
  since: string | null
  /** what of the tables is not in force, and why */
  problems: string[]
  /** the last look at the tables succeeded */
  isReachable: boolean
}

export class StoredDeclarations {
  readonly #options: StoredDeclarationsOptions
  readonly #follower: Follower
  #state: StoredState = { revision: null, since: null, problems: [], isReachable: false }

  private constructor(options: StoredDeclarationsOptions) {
    this.#options = options
    this.#follower = new Follower({
      pool: options.pool,
      channel: DECLARED_CHANNEL,
      pollMs: POLL_MS,
      read: () => this.#read(),
    })
  }

  /** With what the tables say now, or nothing until they can be read. */
  static async open(options: StoredDeclarationsOptions): Promise<StoredDeclarations> {
    const stored = new StoredDeclarations(options)
    await stored.#follower.start()
    return stored
  }

  get state(): StoredState {
    return this.#state
  }

  /** Looks now. Resolves when everything that was committed before the call is in force. */
  refresh(): Promise<void> {
    return this.#follower.refresh()
  }

  close(): Promise<void> {
    return this.#follower.close()
  }

  /** @returns whether the tables could be read */
  async #read(): Promise<boolean> {
    const { pool, keyring, logger, onDeclaration } = this.#options
    try {
      const revision = await readDeclaredRevision(pool)
      if (!this.#state.isReachable && this.#state.revision !== null) {
        logger.info({}, 'what the admin API declared can be read again')
      }
      this.#state = { ...this.#state, isReachable: true }
      if (revision === this.#state.revision) return true
      // Older than the rows at worst, and then the next look reads them again.
      const [upstreams, models] = await Promise.all([listUpstreams(pool), listDeclaredModels(pool)])
      const { declaration, problems } = compose(upstreams, models, keyring)
      try {
        onDeclaration(declaration)
      } catch (error) {
        problems.push(`Nothing of it is in force: ${messageOf(error)}`)
      }
      for (const problem of problems) logger.error({ revision }, problem)
      const since = new Date().toISOString()
      this.#state = { revision, since, problems, isReachable: true }
      return true
    } catch (error) {
      if (this.#state.isReachable || this.#state.revision === null) {
        const reason = messageOf(error)
        logger.warn({ reason }, "what the admin API declared can't be read; what was known goes on")
      }
      this.#state = { ...this.#state, isReachable: false }
      return false
    }
  }
}

function compose(upstreams: StoredUpstream[], models: StoredModel[], keyring: Keyring) {
  const problems: string[] = []
  const usableUpstreams = new Map<string, DeclaredUpstream>()
  for (const { name, declaration, secret } of upstreams) {
    try {
      const whole = { ...(declaration as DeclaredUpstream), ...openSecret(keyring, name, secret) }
      const faults = problemsOf({ upstreams: { [name]: whole } })
      if (faults.length === 0) usableUpstreams.set(name, whole)
      for (const { path, what } of faults) problems.push(`${written(path)}: ${what}`)
    } catch (error) {
      problems.push(`upstreams.${name}: ${messageOf(error)}`)
    }
  }
  const usableModels = new Map<string, DeclaredModel>()
  for (const { name, declaration } of models) {
    const model = declaration as DeclaredModel
    // An upstream that is gone takes its targets with it, and not the whole model.
    const faults = problemsOf({ models: { [name]: model } }, { upstreams: upstreamsOf(model) })
    if (faults.length === 0) usableModels.set(name, model)
    for (const { path, what } of faults) problems.push(`${written(path)}: ${what}`)
  }
  const declaration: Declaration = {
    upstreams: Object.fromEntries(usableUpstreams),
    models: Object.fromEntries(usableModels),
  }
  return { declaration, problems }
}

/** Those that a model's targets name. */
export function upstreamsOf({ targets = [], fallbacks = [] }: Partial<DeclaredModel>): string[] {
  return [...targets, ...fallbacks].flatMap(({ upstream }) => upstream ?? [])
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
