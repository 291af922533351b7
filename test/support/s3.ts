// A bucket as S3's API has it, on a real HTTP server: it keeps what is put, and takes only what is signed as Amazon's
// documentation of Signature Version 4 says. Written from that documentation, apart from what signs in the gateway.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html

import { createHash, createHmac } from 'node:crypto'
import { createServer } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'

export const ACCESS_KEY_ID = 'AKIAIOSFODNN7EXAMPLE'
export const SECRET_ACCESS_KEY = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'

export interface S3Server {
  endpoint: string
  /** by path: /bucket/key */
  objects: Map<string, Buffer>
  /** methods and paths, in order */
  requests: string[]
  /** answered with 503 instead of being served, as long as it says so */
  failing: (method: string, path: string) => boolean
}

export async function startS3(t: TestContext): Promise<S3Server> {
  const state: S3Server = { endpoint: '', objects: new Map(), requests: [], failing: () => false }
  const answer = async (request: IncomingMessage): Promise<[number, Buffer | string]> => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks)
    const { method = '', url = '' } = request
    const problem = problemOf(request, body)
    if (problem) return [403, errorXml('SignatureDoesNotMatch', problem)]
    const path = decodeURIComponent(url)
    state.requests.push(`${method} ${path}`)
    if (state.failing(method, path)) return [503, errorXml('SlowDown', 'Please reduce your rate.')]
    if (method === 'PUT') {
      state.objects.set(path, body)
      return [200, '']
    }
    if (method === 'DELETE') {
      state.objects.delete(path)
      return [204, '']
    }
    const found = state.objects.get(path)
    return found ? [200, found] : [404, errorXml('NoSuchKey', 'There is no such key.')]
  }
  const server = createServer((request, response) => {
    void answer(request).then(
      ([status, body]) => response.writeHead(status).end(body),
      (error: unknown) => response.destroy(error as Error),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  state.endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return state
}

function errorXml(code: string, message: string): string {
  return `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`
}

/** What is wrong with who signed it, when, and what. */
function problemOf({ method = '', url = '', headers }: IncomingMessage, body: Buffer) {
  const stated = headers['x-amz-content-sha256']
  if (stated !== createHash('sha256').update(body).digest('hex')) return 'the digest of the body'
  const at = String(headers['x-amz-date'])
  const time = Date.parse(at.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z'))
  if (!(Math.abs(Date.now() - time) < 15 * 60_000)) return `the date ${at}`
  const authorization = headers.authorization ?? ''
  const [, id, day, region, signed = '', signature] =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=(\w+)$/.exec(
      authorization,
    ) ?? []
  if (id !== ACCESS_KEY_ID || day !== at.slice(0, 8) || !region) return `'${authorization}'`
  const names = signed.split(';')
  const needed = ['host', ...Object.keys(headers).filter((name) => name.startsWith('x-amz-'))]
  if (!needed.every((name) => names.includes(name))) return `signed is ${signed}`
  const own = signatureOf({ method, url, headers, names, at, region })
  return signature === own ? null : 'the signature'
}

interface Signed {
  method: string
  /** as it is on the wire */
  url: string
  headers: Record<string, string | string[] | undefined>
  names: string[]
  at: string
  region: string
}

export function signatureOf({ method, url, headers, names, at, region }: Signed): string {
  const [path = '', query = ''] = url.split('?')
  const canonical = [
    method,
    path.split('/').map(encode).join('/'),
    query.split('&').sort().join('&'),
    ...names.map((name) => `${name}:${String(headers[name]).trim()}`),
    '',
    names.join(';'),
    String(headers['x-amz-content-sha256']),
  ].join('\n')
  const scope = `${at.slice(0, 8)}/${region}/s3/aws4_request`
  const digest = createHash('sha256').update(canonical).digest('hex')
  const hmac = (key: string | Buffer, text: string) =>
    createHmac('sha256', key).update(text).digest()
  const key = scope.split('/').reduce<string | Buffer>(hmac, `AWS4${SECRET_ACCESS_KEY}`)
  return hmac(key, `AWS4-HMAC-SHA256\n${at}\n${scope}\n${digest}`).toString('hex')
}

function encode(segment: string): string {
  return Array.from(Buffer.from(decodeURIComponent(segment)), (byte) => {
    const sign = String.fromCharCode(byte)
    return /[A-Za-z0-9\-._~]/.test(sign) && byte < 128
      ? sign
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }).join('')
}
