// An OIDC issuer: a real HTTP server with a discovery document and keys that a test makes, withdraws and takes away.

import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'

import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import type { JWK } from 'jose'

export const AUDIENCE = 'headrace'

export interface SignOptions {
  /** id of the key to sign with; without it the newest */
  kid?: string
  issuer?: string
  audience?: string
  /** from now, in seconds; null: no such claim */
  expiresIn?: number | null
  /** a secret for HS256 in place of a key */
  secret?: Uint8Array
}

interface Signer {
  jwk: JWK
  privateKey: Awaited<ReturnType<typeof generateKeyPair>>['privateKey']
  alg: string
}

export async function startIssuer(t: TestContext, alg = 'ES256') {
  const signers = new Map<string, Signer>()
  const published = new Set<string>()
  const requests: string[] = []
  let claimed: string | null = null

  const server: Server = createServer((request, response) => {
    const path = request.url ?? ''
    requests.push(path)
    response.setHeader('content-type', 'application/json')
    if (path === '/.well-known/openid-configuration') {
      response.end(JSON.stringify({ issuer: claimed ?? issuer, jwks_uri: `${issuer}/keys` }))
    } else if (path === '/keys') {
      const keys = [...published].map((kid) => signers.get(kid)?.jwk)
      response.end(JSON.stringify({ keys }))
    } else {
      response.writeHead(404).end('{}')
    }
  })
  const listen = (port: number) =>
    new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  await listen(0)
  const { port } = server.address() as AddressInfo
  const issuer = `http://127.0.0.1:${port}`
  t.after(stop)

  const addKey = async (kid: string, algorithm = alg) => {
    const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true })
    const jwk = { ...(await exportJWK(publicKey)), kid, alg: algorithm, use: 'sig' }
    signers.set(kid, { jwk, privateKey, alg: algorithm })
    published.add(kid)
  }
  await addKey('first')

  return {
    issuer,
    requests,
    addKey,
    withdraw: (kid: string) => published.delete(kid),
    /** another's name in the discovery document */
    claim: (name: string) => (claimed = name),
    goAway: stop,
    comeBack: () => listen(port),
    async sign(claims: Record<string, unknown> = {}, options: SignOptions = {}): Promise<string> {
      const kid = options.kid ?? [...signers.keys()].at(-1)!
      const { privateKey, alg: algorithm } = signers.get(kid)!
      const { secret, expiresIn = 600 } = options
      const token = new SignJWT({ sub: 'alice', ...claims })
        .setProtectedHeader({ alg: secret ? 'HS256' : algorithm, kid })
        .setIssuer(options.issuer ?? issuer)
        .setAudience(options.audience ?? AUDIENCE)
        .setIssuedAt()
      if (expiresIn !== null) token.setExpirationTime(Math.floor(Date.now() / 1000) + expiresIn)
      return token.sign(secret ?? privateKey)
    },
  }
}
