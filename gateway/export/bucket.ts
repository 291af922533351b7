// A bucket that speaks S3's API as the place that days are exported to: Amazon's, MinIO's, Google's, R2's.
//
// Three requests are all that is needed, so there is no SDK here: requests are signed by aws4fetch (Signature Version 4)
// and sent as every other request of this gateway is. A file's digest is part of what is signed, so that what arrives
// damaged is refused; no file is larger than what one request may carry (5 GiB).
//
// Credentials come from the environment alone: there are no profiles, and no metadata service is asked for a role.
//
// Knows: S3's paths, headers and errors. Does not know: what is in the files.

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'

import { AwsV4Signer } from 'aws4fetch'

import { UpstreamHttp } from '../backends/upstream/http.ts'
import type { Destination, LocalFile } from './destination.ts'
import type { UpstreamResponse } from '../backends/upstream/http-response.ts'

export interface BucketSettings {
  bucket: string
  /** without slashes around it; '' is the whole bucket */
  prefix: string
  region: string
  /** `https://minio.example.com`; null: Amazon's own */
  endpoint: string | null
  accessKeyId: string
  secretAccessKey: string
  sessionToken: string | null
}

type Environment = Record<string, string | undefined>

/** @throws Error that names every variable that is missing */
export function readBucketSettings(exportUrl: string, env: Environment): BucketSettings {
  const { host: bucket, pathname } = new URL(exportUrl)
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = env
  const endpoint = env['AWS_ENDPOINT_URL_S3'] || env['AWS_ENDPOINT_URL'] || null
  if (!accessKeyId || !secretAccessKey) {
    throw new Error(
      `Exporting to ${exportUrl} needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; ` +
        `${accessKeyId ? 'the second' : secretAccessKey ? 'the first' : 'neither'} is ${accessKeyId || secretAccessKey ? 'not ' : ''}set.`,
    )
  }
  return {
    bucket,
    prefix: decodeURIComponent(pathname).replace(/^\/+|\/+$/g, ''),
    // What servers of the same API take where nothing was set.
    region: env['AWS_REGION'] || env['AWS_DEFAULT_REGION'] || 'us-east-1',
    endpoint,
    accessKeyId,
    secretAccessKey,
    sessionToken: env['AWS_SESSION_TOKEN'] || null,
  }
}

/** for a part of 256 MiB on a slow line */
const REQUEST_MS = 15 * 60_000
const MAX_MANIFEST_BYTES = 16 * 1024 * 1024
const NOTHING_SHA256 = createHash('sha256').digest('hex')

interface S3Request {
  method: 'GET' | 'PUT' | 'DELETE'
  name: string
  body?: { content: string | Readable; bytes: number; sha256: string }
}

export class Bucket implements Destination {
  readonly name: string
  readonly workshop: string
  readonly #settings: BucketSettings
  readonly #http: UpstreamHttp
  readonly #address: string

  constructor(settings: BucketSettings, workshop: string) {
    const { bucket, prefix } = settings
    this.#settings = settings
    this.#address = addressOf(settings)
    this.#http = new UpstreamHttp({ baseUrl: this.#address, headers: {}, connections: 2 })
    this.name = `s3://${bucket}${prefix && `/${prefix}`}`
    this.workshop = workshop
  }

  async read(name: string): Promise<string | null> {
    const response = await this.#send({ method: 'GET', name })
    if (response.status === 404) {
      response.close()
      return null
    }
    await this.#demandSuccess(response, `read ${name}`)
    return response.text(MAX_MANIFEST_BYTES)
  }

  async write(name: string, text: string): Promise<void> {
    const sha256 = createHash('sha256').update(text).digest('hex')
    const body = { content: text, bytes: Buffer.byteLength(text), sha256 }
    await this.#change({ method: 'PUT', name, body }, `write ${name}`)
  }

  async put(name: string, { path, bytes, sha256 }: LocalFile): Promise<void> {
    const content = createReadStream(path)
    try {
      const body = { content, bytes, sha256 }
      await this.#change({ method: 'PUT', name, body }, `write ${name}`)
    } finally {
      content.destroy()
    }
  }

  /** S3 answers in the same way whether it was there or not. */
  async remove(name: string): Promise<void> {
    await this.#change({ method: 'DELETE', name }, `delete ${name}`)
  }

  async close(): Promise<void> {
    await this.#http.close()
  }

  async #change(request: S3Request, what: string): Promise<void> {
    const response = await this.#send(request)
    await this.#demandSuccess(response, what)
    response.release()
  }

  async #send({ method, name, body }: S3Request): Promise<UpstreamResponse> {
    const { prefix, region, accessKeyId, secretAccessKey, sessionToken } = this.#settings
    const key = prefix ? `${prefix}/${name}` : name
    const path = `/${key.split('/').map(encodeSegment).join('/')}`
    const { headers } = await new AwsV4Signer({
      method,
      url: this.#address + path,
      headers: { 'x-amz-content-sha256': body?.sha256 ?? NOTHING_SHA256 },
      service: 's3',
      region,
      accessKeyId,
      secretAccessKey,
      sessionToken: sessionToken ?? undefined,
    }).sign()
    return this.#http.request(method, path, body?.content ?? null, {
      signal: AbortSignal.timeout(REQUEST_MS),
      headers: {
        ...Object.fromEntries(headers),
        ...(body && { 'content-length': String(body.bytes) }),
      },
    })
  }

  async #demandSuccess(response: UpstreamResponse, what: string): Promise<void> {
    if (response.status >= 200 && response.status < 300) return
    const text = await response.text()
    const part = (name: string) => new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1]
    const reason = [part('Code'), part('Message')].filter(Boolean).join(': ')
    throw new Error(
      `The bucket ${this.name} did not let us ${what}: status ${response.status}` +
        (reason ? `, ${reason}` : '.'),
    )
  }
}

/** As paths are signed: everything but letters, digits and - . _ ~ is escaped. */
function encodeSegment(segment: string): string {
  return encodeURIComponent(segment).replace(
    /[!'()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

function addressOf({ bucket, region, endpoint }: BucketSettings): string {
  // Other servers seldom have a name for each bucket, and a certificate is good for one label only.
  if (endpoint !== null) return `${endpoint.replace(/\/+$/, '')}/${bucket}`
  return bucket.includes('.')
    ? `https://s3.${region}.amazonaws.com/${bucket}`
    : `https://${bucket}.s3.${region}.amazonaws.com`
}
