// The public keys of an OIDC issuer: found, kept, and read again when they change.
//
// They are read when the first token comes, again after ten minutes in the background, and when a token names a key
// that is not among them; but never more than once in ten seconds, whatever strangers send. While the issuer is away
// the known ones go on for a set time.
//
// Knows: the issuer's addresses, time. Does not know: tokens, claims.

import { createRemoteJWKSet, errors } from 'jose'
import type { JWTVerifyGetKey } from 'jose'

import { GatewayError } from '../errors.ts'
import type { Logger } from '../logger.ts'

export interface IssuerKeysOptions {
  issuer: string
  /** null: as the issuer's discovery document says */
  jwksUrl: string | null
  /** how long known keys go on while the issuer can't be asked */
  graceMs: number
  now: () => number
  logger: Pick<Logger, 'info' | 'warn'>
}

/** how old keys may be; a withdrawn one is refused after at most this, while the issuer can be asked */
const FRESH_MS = 10 * 60_000
/** between two attempts; long enough for nobody to send a crowd there, short against the time of a rotation */
const COOLDOWN_MS = 10_000
const TIMEOUT_MS = 3_000

export class IssuerKeys {
  readonly #options: IssuerKeysOptions
  #remote: ReturnType<typeof createRemoteJWKSet> | null = null
  #loadedMs = -Infinity
  #triedMs = -Infinity
  #loading: Promise<void> | null = null
  #generation = 0

  constructor(options: IssuerKeysOptions) {
    this.#options = options
  }

  /** Another one with each set of keys that was read: what an older one verified is to be verified again. */
  get generation(): number {
    return this.#generation
  }

  /** @throws GatewayError `key_check_unavailable` where the keys are not known, or not any more */
  async keepFresh(): Promise<void> {
    const { now, graceMs } = this.#options
    const ageMs = now() - this.#loadedMs
    if (ageMs < FRESH_MS) return
    if (ageMs < FRESH_MS + graceMs) {
      if (this.#mayTry()) void this.#load().catch(() => {})
      return
    }
    if (!this.#loading && !this.#mayTry()) throw unavailable()
    try {
      await this.#load()
    } catch (error) {
      throw unavailable(error)
    }
  }

  readonly find: JWTVerifyGetKey = async (header, token) => {
    await this.keepFresh()
    try {
      return await this.#known(header, token)
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
      if (!this.#loading && !this.#mayTry()) throw error
      await this.#load().catch(() => {})
      return this.#known(header, token)
    }
  }

  #known(...asked: Parameters<JWTVerifyGetKey>) {
    if (!this.#remote) throw new Error('Keys are looked for before they are read. This is a bug.')
    return this.#remote(...asked)
  }

  #mayTry(): boolean {
    return this.#options.now() - this.#triedMs >= COOLDOWN_MS
  }

  /** One attempt for all who wait. */
  #load(): Promise<void> {
    this.#loading ??= this.#read().finally(() => (this.#loading = null))
    return this.#loading
  }

  async #read(): Promise<void> {
    const { issuer, now, logger } = this.#options
    const wasAway = this.#triedMs > this.#loadedMs
    this.#triedMs = now()
    try {
      // When to read again is decided here, so that a failed attempt leaves the old keys and counts for the cooldown.
      this.#remote ??= createRemoteJWKSet(new URL(await this.#findUrl()), {
        cacheMaxAge: Infinity,
        cooldownDuration: Infinity,
        timeoutDuration: TIMEOUT_MS,
      })
      await this.#remote.reload()
      this.#loadedMs = this.#triedMs
      this.#generation++
      if (wasAway) logger.info({ issuer }, "the issuer's keys are known")
    } catch (error) {
      logger.warn({ issuer, reason: reasonOf(error) }, "the issuer's keys can't be read")
      throw error
    }
  }

  /** OpenID Connect Discovery 1.0, section 4. */
  async #findUrl(): Promise<string> {
    const { issuer, jwksUrl } = this.#options
    if (jwksUrl !== null) return jwksUrl
    const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
    const response = await fetch(url, {
      signal: AbortSignal.timeout(TIMEOUT_MS),
      redirect: 'error',
      headers: { accept: 'application/json' },
    })
    if (response.status !== 200) throw new Error(`${url} answered with ${response.status}.`)
    const document = (await response.json()) as { issuer?: unknown; jwks_uri?: unknown }
    if (document.issuer !== issuer) {
      throw new Error(`${url} is the document of ${String(document.issuer)}, not of ${issuer}.`)
    }
    const found = typeof document.jwks_uri === 'string' ? URL.parse(document.jwks_uri) : null
    if (found?.protocol === 'https:' || (found && issuer.startsWith('http:'))) return found.href
    throw new Error(`${url} names no address of keys that can be used: ${String(found)}.`)
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message
}

function unavailable(cause?: unknown): GatewayError {
  return new GatewayError(
    'key_check_unavailable',
    "The token can't be checked at the moment: its issuer's keys are not known. Try again shortly.",
    { cause },
  )
}
