// Who calls: the holder of the admin key, of an API key, or of a token, where an issuer is configured.
//
// Knows: which of them a credential may be. Does not know: HTTP, tables.

import { IssuerKeys } from './issuer-keys.ts'
import { KeyCache } from './key-cache.ts'
import { ProjectMemory } from './project-memory.ts'
import { looksLikeToken, TokenCheck } from './token-check.ts'
import type { Caller } from './caller.ts'
import type { ClaimNames } from './claims.ts'
import type { Callers } from './key-cache.ts'
import type { CallersProject } from './project-memory.ts'
import type { Logger } from '../logger.ts'

export interface IssuerSettings {
  issuer: string
  audience: string
  /** null: as the issuer's discovery document says */
  jwksUrl: string | null
  claimNames: ClaimNames
}

export interface IdentitiesOptions {
  /** SHA-256 of the admin key */
  adminKeyHash: Buffer
  /** how long known callers go on while the tables, or the issuer, can't be asked */
  graceMs: number
  /** null: there are no tokens, only keys */
  issuer: IssuerSettings | null
  tables: Callers & {
    /** null where there is none, or it is archived */
    findProject(idOrName: string): Promise<CallersProject | null>
  }
  now: () => number
  /** told how each look-up of a key ended */
  onLookup?: (result: 'found' | 'unknown' | 'failed') => void
  logger: Pick<Logger, 'info' | 'warn'>
}

export class Identities {
  readonly #keys: KeyCache
  readonly #projects: ProjectMemory
  readonly #tokens: TokenCheck | null

  constructor({ tables, issuer, logger, ...options }: IdentitiesOptions) {
    this.#keys = new KeyCache({ ...options, callers: tables })
    const projects = new ProjectMemory({ ...options, findProject: tables.findProject.bind(tables) })
    this.#projects = projects
    const keys = issuer && new IssuerKeys({ ...options, ...issuer, logger })
    this.#tokens = keys && new TokenCheck({ ...issuer, keys, projects, now: options.now })
  }

  /**
   * @returns null for what nobody holds
   * @throws GatewayError that says what is wrong with it, or that nobody can say
   */
  async identify(credential: string): Promise<Caller | null> {
    const caller = await this.#keys.identify(credential)
    if (caller || !this.#tokens || !looksLikeToken(credential)) return caller
    return this.#tokens.identify(credential)
  }

  /** Keys or projects were changed here: what is remembered of them is asked for again. */
  doubtAll() {
    this.#keys.doubtAll()
    this.#projects.doubtAll()
  }
}

/** @returns null where no issuer is configured */
export function issuerOf(settings: {
  oidcIssuer: string | null
  oidcAudience: string | null
  oidcJwksUrl: string | null
  oidcNameClaim: string
  oidcProjectClaim: string
  oidcRoleClaim: string
  oidcModelsClaim: string
}): IssuerSettings | null {
  const { oidcIssuer: issuer, oidcAudience: audience, oidcJwksUrl: jwksUrl } = settings
  if (issuer === null || audience === null) return null
  const claimNames = {
    name: settings.oidcNameClaim,
    project: settings.oidcProjectClaim,
    role: settings.oidcRoleClaim,
    models: settings.oidcModelsClaim,
  }
  return { issuer, audience, jwksUrl, claimNames }
}
