// Who a JSON Web Token of an OIDC issuer belongs to.
//
// A token is verified once and remembered until it expires or the issuer's keys were read anew; the memory is bounded,
// and has only tokens in it that were right.
//
// Knows: signatures and claims. Does not know: HTTP, SQL, where the issuer's keys come from.

import { hash } from 'node:crypto'

import { errors, jwtVerify } from 'jose'
import { LRUCache } from 'lru-cache'

import { GatewayError } from '../errors.ts'
import { readClaims } from './claims.ts'
import type { Caller } from './caller.ts'
import type { ClaimNames, Holder } from './claims.ts'
import type { IssuerKeys } from './issuer-keys.ts'
import type { ProjectMemory } from './project-memory.ts'

export interface TokenCheckOptions {
  issuer: string
  audience: string
  claimNames: ClaimNames
  keys: IssuerKeys
  projects: Pick<ProjectMemory, 'find'>
  now: () => number
}

/** Signed with a private key, all of them: with a shared secret, whoever can verify could also sign. */
const ALGORITHMS = 'RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519'.split(' ')
/** clocks differ by less than that */
const TOLERANCE_S = 30
const MAX_REMEMBERED = 10_000

interface Verified {
  holder: Holder
  expiresAt: Date
  generation: number
}

export class TokenCheck {
  readonly #options: TokenCheckOptions
  readonly #verified = new LRUCache<string, Verified>({ max: MAX_REMEMBERED })

  constructor(options: TokenCheckOptions) {
    this.#options = options
  }

  /** @throws GatewayError `invalid_token`, `expired_token`; `key_check_unavailable` where nobody can say */
  async identify(token: string): Promise<Caller> {
    const { holder, expiresAt } = await this.#verify(token)
    const { id, name, role, allowedModels } = holder
    const project = holder.project === null ? null : await this.#projectOf(holder.project)
    return {
      id,
      name,
      role,
      project,
      limits: {},
      allowedModels,
      tags: {},
      cacheSeconds: null,
      bodies: project?.bodies ?? null,
      expiresAt,
    }
  }

  async #verify(token: string): Promise<Verified> {
    const { issuer, audience, claimNames, keys, now } = this.#options
    // A key that was withdrawn is noticed although the token is remembered.
    await keys.keepFresh()
    const id = hash('sha256', token, 'base64')
    const known = this.#verified.get(id)
    const isCurrent = known && known.generation === keys.generation
    if (isCurrent && now() < known.expiresAt.getTime() + TOLERANCE_S * 1000) return known
    try {
      const { payload } = await jwtVerify(token, keys.find, {
        issuer,
        audience,
        algorithms: ALGORITHMS,
        clockTolerance: TOLERANCE_S,
        currentDate: new Date(now()),
        requiredClaims: ['exp', 'sub'],
      })
      const expiresAt = new Date(payload.exp! * 1000)
      const holder = readClaims(payload, issuer, claimNames)
      const verified = { holder, expiresAt, generation: keys.generation }
      this.#verified.set(id, verified)
      return verified
    } catch (error) {
      throw refusalOf(error)
    }
  }

  async #projectOf(idOrName: string) {
    const project = await this.#options.projects.find(idOrName)
    if (project) return project
    const claim = this.#options.claimNames.project
    throw new GatewayError(
      'invalid_token',
      `The token's claim '${claim}' names '${idOrName.slice(0, 64)}'; there is no such project here, or it is archived.`,
    )
  }
}

/** Three parts in base64url, of which the first is a JSON object. */
export function looksLikeToken(credential: string): boolean {
  return /^eyJ[\w-]+\.[\w-]+\.[\w-]*$/.test(credential)
}

function refusalOf(cause: unknown): unknown {
  if (!(cause instanceof errors.JOSEError)) return cause
  if (cause instanceof errors.JWTExpired) {
    const expiredAt = new Date(Number(cause.payload.exp) * 1000).toISOString()
    return new GatewayError('expired_token', `This token expired at ${expiredAt}.`, { cause })
  }
  return new GatewayError('invalid_token', reasonOf(cause), { cause })
}

function reasonOf(error: InstanceType<typeof errors.JOSEError>): string {
  if (error instanceof errors.JWTClaimValidationFailed) {
    return error.reason === 'missing'
      ? `The token has no claim '${error.claim}', which is needed here.`
      : `The token's claim '${error.claim}' is not what is asked for here.`
  }
  if (error instanceof errors.JOSEAlgNotAllowed) {
    return `The token is signed in a way that is not taken here; allowed are ${ALGORITHMS.join(', ')}.`
  }
  if (error instanceof errors.JWKSNoMatchingKey) {
    return "The token is signed with a key that is not among its issuer's."
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) {
    return "The token's signature is not valid."
  }
  return 'The token is no JSON Web Token that can be verified.'
}
