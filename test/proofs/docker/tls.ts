// The profile `tls`: Caddy ends TLS in front of the gateway, with a certificate of its own authority for localhost, passes
// answers on, and hides what is for the network inside.

import { request } from 'node:https'

import { tally } from '../verdict.ts'
import { Composed, lasting, waitFor } from './composed.ts'
import type { Verdict } from '../verdict.ts'
import type { Containers } from './containers.ts'

const PATIENCE_MS = 60_000
const ROOT_CERTIFICATE = '/data/caddy/pki/authorities/local/root.crt'
const HIDDEN = ['/metrics', '/healthz', '/readyz']

interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  /** as they came */
  pieces: string[]
}

export async function proveTls(containers: Containers, verdict: Verdict) {
  await using composed = await Composed.up(containers, { profiles: ['cpu', 'tls'] })
  const ca = await waitFor(
    () => composed.exec('caddy', 'cat', ROOT_CERTIFICATE).catch(() => null),
    PATIENCE_MS,
  )
  if (ca === null) throw new Error(`Caddy made no certificate: there is no ${ROOT_CERTIFICATE}.`)
  const port = composed.portOf('https')
  const ask = (path: string, body?: object) =>
    askSecurely({ ca, port, path, key: composed.adminKey, ...(body && { body }) })

  const { body } = lasting(composed.adminKey, 300)
  const streamed = await ask('/v1/chat/completions', body)
  const text = streamed.pieces.join('')
  verdict.hold(
    'a completion is streamed over HTTPS, by a certificate that is checked',
    streamed.status === 200 && text.includes('data: [DONE]') && streamed.pieces.length > 5,
    `${streamed.status}, ${streamed.pieces.length} pieces`,
  )
  const hidden = await Promise.all(HIDDEN.map((path) => ask(path)))
  verdict.hold(
    'metrics and probes are not for those outside',
    hidden.every(({ status }) => status === 404),
    tally(hidden.map(({ status }) => String(status))),
  )
  const plain = await fetch(composed.urlOf('http'), {
    redirect: 'manual',
    headers: { host: 'localhost' },
  })
  const location = plain.headers.get('location') ?? ''
  verdict.hold(
    'HTTP is sent on to HTTPS',
    plain.status === 308 && location.startsWith('https://'),
    `${plain.status} ${location}`,
  )
}

interface Asked {
  /** PEM: nobody else's certificate will do */
  ca: string
  port: number
  path: string
  key: string
  body?: object
}

function askSecurely({ ca, port, path, key, body }: Asked): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const headers = {
    host: 'localhost',
    authorization: `Bearer ${key}`,
    'content-type': 'application/json',
  }
  const method = body ? 'POST' : 'GET'
  const options = { host: '127.0.0.1', port, path, method, headers, ca, servername: 'localhost' }
  const asked = request(options, (response) => {
    const pieces: string[] = []
    response.setEncoding('utf8')
    response.on('data', (piece: string) => pieces.push(piece))
    response.on('error', reject)
    response.on('end', () =>
      resolve({ status: response.statusCode ?? 0, headers: response.headers, pieces }),
    )
  })
  asked.on('error', reject)
  asked.setTimeout(PATIENCE_MS, () => asked.destroy(new Error(`${path}: no answer`)))
  asked.end(body && JSON.stringify(body))
  return promise
}
