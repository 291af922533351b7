// The only door to upstreams: a pool of connections to one address, and nothing else can be reached through it.
//
// Redirects are not followed, nothing is retried and no status is an error here. A request waits for a connection, for
// its answer's head, and then hands out the answer; what can go wrong on the way is an UpstreamFault. How long a first
// token or a stall may take is routing's to say, by aborting the signal: what is bounded here is silence without any
// bytes at all, for requests that nobody else watches.
//
// Knows: undici, one upstream's address and headers. Does not know: dialects, models, routing.

import type { Readable } from 'node:stream'
import { TLSSocket } from 'node:tls'

import { buildConnector, Pool } from 'undici'

import { UpstreamFault } from './fault.ts'
import { Arrival, toError } from './http-arrival.ts'
import { UpstreamResponse } from './http-response.ts'
import { Secrets } from './secrets.ts'
import type { Head } from './http-arrival.ts'

export interface UpstreamHttpOptions {
  /** `https://api.openai.com/v1`: paths are appended to it */
  baseUrl: string
  /** sent with every request; their values are taken for secrets */
  headers: Record<string, string>
  connectMs?: number
  /** without a single byte of the answer; Infinity: no limit */
  silenceMs?: number
  /** at once; more requests wait */
  connections?: number
}

export interface RequestOptions {
  signal: AbortSignal
  headers?: Record<string, string> | undefined
}

const CONNECT_MS = 5_000
/** what OpenAI's own clients wait for a whole answer */
const SILENCE_MS = 600_000
/**
 * An upstream's own limits are reached long before. Without a bound, a stalled upstream would take every descriptor of
 * this process with it.
 */
const CONNECTIONS = 512
/** below the 60 s after which common load balancers forget an idle connection without a word */
const KEEP_ALIVE_MS = 30_000
/** Certificates are renewed weeks before they end: one that was seen longer ago may be another by now. */
const CERTIFICATE_MS = 7 * 86_400_000

export class UpstreamHttp {
  /** the upstream's address, for messages */
  readonly origin: string
  readonly #basePath: string
  readonly #pool: Pool
  readonly #headers: Record<string, string>
  readonly #secrets: Secrets
  #certificate: { endsMs: number; seenMs: number } | null = null

  /** @throws Error where the address is none */
  constructor(options: UpstreamHttpOptions) {
    const { baseUrl, headers, connectMs = CONNECT_MS, silenceMs = SILENCE_MS } = options
    const url = readBaseUrl(baseUrl)
    this.origin = url.origin
    this.#basePath = url.pathname.replace(/\/+$/, '')
    this.#headers = headers
    this.#secrets = new Secrets(Object.values(headers))
    const silence = Number.isFinite(silenceMs) ? silenceMs : 0
    this.#pool = new Pool(url.origin, {
      connections: options.connections ?? CONNECTIONS,
      pipelining: 1,
      allowH2: false,
      connect: this.#connector(connectMs),
      headersTimeout: silence,
      bodyTimeout: silence,
      keepAliveTimeout: KEEP_ALIVE_MS,
    })
  }

  /** until when the certificate of the newest connection is good, milliseconds since 1970; null where none was made lately */
  get certificateEndsMs(): number | null {
    const { endsMs = null, seenMs = 0 } = this.#certificate ?? {}
    return Date.now() - seenMs < CERTIFICATE_MS ? endsMs : null
  }

  /** A text without this upstream's secrets. */
  redact(text: string): string {
    return this.#secrets.redact(text)
  }

  /**
   * @param path from the base address on, with its query
   * @param body an object is sent as JSON; a string is JSON already
   * @throws UpstreamFault, or the signal's reason
   */
  post(
    path: string,
    body: object | string | Buffer,
    { signal, headers }: RequestOptions,
  ): Promise<UpstreamResponse> {
    const isWritten = typeof body === 'string' || Buffer.isBuffer(body)
    return this.request('POST', path, isWritten ? body : JSON.stringify(body), {
      signal,
      headers: { 'content-type': 'application/json', ...headers },
    })
  }

  /**
   * Any request, its body as it is.
   *
   * @throws UpstreamFault, or the signal's reason
   */
  async request(
    method: string,
    path: string,
    body: string | Buffer | Readable | null,
    { signal, headers }: RequestOptions,
  ): Promise<UpstreamResponse> {
    signal.throwIfAborted()
    const onAbort = () => arrival.abort(signal.reason)
    const arrival = new Arrival(() => signal.removeEventListener('abort', onAbort))
    signal.addEventListener('abort', onAbort, { once: true })
    let head: Head
    try {
      this.#pool.dispatch(
        {
          method,
          path: this.#basePath + path,
          headers: { ...this.#headers, ...headers },
          body,
        },
        arrival,
      )
      head = await arrival.head
    } catch (error) {
      // Refused by the HTTP client itself, it never reached the arrival, which still listens to the signal.
      arrival.abort(error)
      if (signal.aborted) throw signal.reason
      throw this.#fault(error, false)
    }
    return new UpstreamResponse({
      head,
      arrival,
      name: `The upstream at ${this.origin}`,
      signal,
      faultOf: (error) => this.#fault(error, true),
      redact: (text) => this.redact(text),
    })
  }

  /** Takes no more requests; resolves when those that run have ended, each in its own time. */
  async retire(): Promise<void> {
    await this.#pool.close()
  }

  /** Closes every connection; requests that run are cut. */
  async close(): Promise<void> {
    await this.#pool.destroy()
  }

  #connector(timeout: number): buildConnector.connector {
    const connect = buildConnector({ timeout, allowH2: false })
    return (options, callback) =>
      connect(options, (...connected) => {
        const [, socket] = connected
        if (socket instanceof TLSSocket) {
          const endsMs = Date.parse(socket.getPeerCertificate().valid_to)
          if (!Number.isNaN(endsMs)) this.#certificate = { endsMs, seenMs: Date.now() }
        }
        callback(...connected)
      })
  }

  #fault(error: unknown, hasBegun: boolean): UpstreamFault {
    if (error instanceof UpstreamFault) return error
    const { code, name, message } = toError(error) as NodeJS.ErrnoException
    const reason = this.redact(reasonOf(error) || message)
    const fault = (kind: UpstreamFault['kind'], what: string) =>
      // Not with the HTTP client's own error as its cause: it may carry what was sent and received.
      new UpstreamFault(kind, `The upstream at ${this.origin} ${what}: ${reason}.`)
    if (code === 'UND_ERR_CONNECT_TIMEOUT') return fault('connect', "can't be reached")
    if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT') {
      return fault('timeout', 'is silent')
    }
    if (name === 'HTTPParserError' || code === 'UND_ERR_HEADERS_OVERFLOW') {
      return fault('malformed', 'does not speak HTTP as it should')
    }
    if (hasBegun) return fault('cut', 'broke off its answer')
    const isConnecting = CONNECT_CODES.has(code ?? '') || error instanceof AggregateError
    return isConnecting ? fault('connect', "can't be reached") : fault('cut', 'did not answer')
  }
}

/** What fails before there is a connection; a certificate that isn't good is an ERR_TLS… or has a word of OpenSSL's. */
const CONNECT_CODES = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'ETIMEDOUT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_HAS_EXPIRED',
])

function readBaseUrl(baseUrl: string): URL {
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : null
  if (!url || !(url.protocol === 'https:' || url.protocol === 'http:')) {
    throw new Error(
      `An upstream's address must be like https://api.example.com/v1; got '${baseUrl}'.`,
    )
  }
  if (url.username || url.password || url.search || url.hash) {
    throw new Error(
      `An upstream's address must not carry credentials, a query or a fragment: ${url.origin}${url.pathname}.`,
    )
  }
  return url
}

function reasonOf(error: unknown): string {
  // Where a name has several addresses, what went wrong with each is in `errors`, and `message` is empty.
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join(', ')
  return error instanceof Error ? error.message || error.name : String(error)
}
