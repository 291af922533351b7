// Tokens with which an end user may say what they think of one exchange, and nothing else.
//
// JSON Web Tokens (RFC 7519) with HMAC, under keys that are derived from those that the operator has anyway. A token
// says for whom it was made, so that it holds where the exchange's row is not there yet; nothing of it is kept.
//
// Knows: signatures. Does not know: HTTP, SQL, whether the exchange is there.

import { errors, jwtVerify, SignJWT } from 'jose'

import { BODY_POLICIES } from '../callers/body-policy.ts'
import { GatewayError } from '../errors.ts'
import type { BodyPolicy } from '../callers/body-policy.ts'

/** What a token says. */
export interface FeedbackGrant {
  exchangeId: string
  /** '' where the caller named nobody */
  endUser: string
  /** of whoever asked for the token */
  callerId: string | null
  callerName: string
  projectId: string | null
  /** what of texts may be kept, by that caller */
  bodies: BodyPolicy | null
  /** the exchange was seen to be theirs */
  isConfirmed: boolean
}

export interface SignedGrant {
  token: string
  expiresAt: Date
}

/** Whoever looks at an answer a month later asks their server anew. */
export const MAX_LIFE_S = 30 * 24 * 3_600
const ALGORITHM = 'HS256'
const AUDIENCE = 'headrace:feedback'
/** clocks of replicas differ by less */
const TOLERANCE_S = 30

export class FeedbackTokens {
  readonly #keys: Uint8Array[]
  readonly #now: () => number

  /** @param keys the newest first: it signs, all of them verify @param now milliseconds since 1970 */
  constructor(keys: Uint8Array[], now: () => number) {
    this.#keys = keys
    this.#now = now
  }

  async sign(grant: FeedbackGrant, lifeSeconds: number): Promise<SignedGrant> {
    const [newest] = this.#keys
    if (!newest) throw new Error('Feedback tokens have no key. This is a bug.')
    const { exchangeId, endUser, callerId, callerName, projectId, bodies, isConfirmed } = grant
    const nowS = Math.floor(this.#now() / 1000)
    const expires = nowS + lifeSeconds
    const claims = {
      exchange: exchangeId,
      caller: callerId,
      name: callerName,
      project: projectId,
      bodies,
    }
    const token = await new SignJWT({ ...claims, confirmed: isConfirmed })
      .setProtectedHeader({ alg: ALGORITHM })
      .setAudience(AUDIENCE)
      .setSubject(endUser)
      .setIssuedAt(nowS)
      .setExpirationTime(expires)
      .sign(newest)
    return { token, expiresAt: new Date(expires * 1000) }
  }

  /** @throws GatewayError `invalid_token`, `expired_token` */
  async verify(token: string): Promise<FeedbackGrant> {
    for (const key of this.#keys) {
      try {
        const { payload } = await jwtVerify(token, key, {
          algorithms: [ALGORITHM],
          audience: AUDIENCE,
          currentDate: new Date(this.#now()),
          clockTolerance: TOLERANCE_S,
          requiredClaims: ['exp', 'exchange'],
        })
        return {
          exchangeId: String(payload['exchange']),
          endUser: payload.sub ?? '',
          callerId: textOrNull(payload['caller']),
          callerName: String(payload['name']),
          projectId: textOrNull(payload['project']),
          bodies: BODY_POLICIES.find((policy) => policy === payload['bodies']) ?? null,
          isConfirmed: payload['confirmed'] === true,
        }
      } catch (error) {
        if (error instanceof errors.JWTExpired) {
          throw new GatewayError('expired_token', 'This feedback token has expired.')
        }
        if (!(error instanceof errors.JOSEError)) throw error
      }
    }
    throw new GatewayError(
      'invalid_token',
      'This is no feedback token of this server: ask for one at POST /v1/exchanges/{id}/feedback-token.',
    )
  }
}

const textOrNull = (claim: unknown) => (typeof claim === 'string' ? claim : null)
