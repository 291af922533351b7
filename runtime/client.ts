// The gateway's front door to the runtime: generate, load, unload, stats.
//
// Knows: protocol.ts over HTTP, how each way of failing is told. Does not know: where versions live, the gateway's errors.

import { Pool } from 'undici'

import { formatAddress, parseAddress } from './address.ts'
import { Answer, RefusedAnswer } from './client/answer.ts'
import { MalformedLine } from './client/ndjson.ts'
import { HEARTBEAT_MS, MAX_BODY_BYTES } from './protocol.ts'
import type { Address } from './address.ts'
import type {
  EncodeEvent,
  EncodeRequest,
  Fit,
  GenerateEvent,
  GenerateRequest,
  HostStats,
  LoadEvent,
  LoadRequest,
  RuntimeErrorCode,
  RuntimeFailure,
  VersionId,
  WantRequest,
} from './protocol.ts'

export type Encoded = Extract<EncodeEvent, { type: 'encoded' }>

export interface Runtime {
  /**
   * Runs one request; yields `started`, deltas and `done`. Ending the iteration early or aborting the signal cancels it.
   * @throws RuntimeError whatever goes wrong, also in the middle of an answer; an abort rejects with the signal's reason
   */
  generate(
    request: GenerateRequest,
    signal: AbortSignal,
  ): AsyncIterable<Exclude<GenerateEvent, { type: 'error' }>>
  /**
   * Runs one request of a model that reads whole texts. Aborting the signal cancels it.
   * @throws RuntimeError whatever goes wrong; an abort rejects with the signal's reason
   */
  encode(request: EncodeRequest, signal: AbortSignal): Promise<Encoded>
  /** Loads a version and waits until it answers; loading one that is loaded is a no-op. @throws RuntimeError */
  load(
    version: VersionId,
    onProgress?: (event: LoadEvent) => void,
    options?: Omit<LoadRequest, 'version'>,
  ): Promise<void>
  /** Resolves when the version's requests have finished and its process is gone. @throws RuntimeError */
  unload(version: VersionId): Promise<void>
  /** Says what this gateway wants resident, all of it, for a time. @throws RuntimeError */
  want(request: WantRequest): Promise<void>
  /** Whether a version could be loaded now. @throws RuntimeError `version_not_loaded` where it isn't there */
  fit(version: VersionId): Promise<Fit>
  /** @throws RuntimeError */
  stats(): Promise<HostStats>
  /** Closes every connection; requests that run are cancelled and reject. */
  close(): Promise<void>
}

export class RuntimeError extends Error {
  override name = 'RuntimeError'
  readonly failure: RuntimeFailure
  constructor(failure: RuntimeFailure, options?: ErrorOptions) {
    super(failure.message, options)
    this.failure = failure
  }
  get code() {
    return this.failure.code
  }
}

export interface RuntimeClientOptions {
  /** `unix:/path/of.sock` or `http://host:port` */
  address: string
  /** the runtime's bearer token, where it asks for one */
  token?: string
}

/** @throws Error where the address is none */
export function createRuntimeClient(options: RuntimeClientOptions): Runtime {
  return new HttpRuntime(parseAddress(options.address), options.token)
}

const CONNECT_TIMEOUT_MS = 5_000
// A host that is alive says so every HEARTBEAT_MS; a machine that swaps or sleeps may miss a few.
const SILENCE_TIMEOUT_MS = 8 * HEARTBEAT_MS
const STATS_TIMEOUT_MS = 10_000
// Unloading waits for running requests, for as long as the host was set to.
const UNLOAD_TIMEOUT_MS = 60 * 60_000

const GENERATE_EVENTS: string[] = ['started', 'delta', 'done', 'error']
const ENCODE_EVENTS: string[] = ['encoded', 'error']
const LOAD_EVENTS: string[] = ['progress', 'ready', 'error']

class HttpRuntime implements Runtime {
  readonly #name: string
  readonly #pool: Pool
  readonly #headers: Record<string, string>

  constructor(address: Address, token: string | undefined) {
    this.#name = `The runtime at ${formatAddress(address)}`
    // One connection for each answer that runs, without a limit: the engines' queues are where requests wait.
    this.#pool = new Pool(address.kind === 'unix' ? 'http://localhost' : formatAddress(address), {
      connections: null,
      pipelining: 1,
      connectTimeout: CONNECT_TIMEOUT_MS,
      headersTimeout: SILENCE_TIMEOUT_MS,
      bodyTimeout: SILENCE_TIMEOUT_MS,
      ...(address.kind === 'unix' && { socketPath: address.path }),
    })
    this.#headers = {
      'content-type': 'application/json',
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    }
  }

  async *generate(
    request: GenerateRequest,
    signal: AbortSignal,
  ): AsyncGenerator<Exclude<GenerateEvent, { type: 'error' }>, void> {
    for await (const event of this.#events(
      '/generate',
      request,
      (value): value is GenerateEvent => isEvent(value, GENERATE_EVENTS),
      signal,
    )) {
      if (event.type === 'error') throw new RuntimeError(event.error)
      yield event
      if (event.type === 'done') return
    }
    throw this.#brokeOff()
  }

  async encode(request: EncodeRequest, signal: AbortSignal): Promise<Encoded> {
    for await (const event of this.#events(
      '/encode',
      request,
      (value): value is EncodeEvent => isEvent(value, ENCODE_EVENTS),
      signal,
    )) {
      if (event.type === 'error') throw new RuntimeError(event.error)
      return event
    }
    throw this.#brokeOff()
  }

  async load(
    version: VersionId,
    onProgress?: (event: LoadEvent) => void,
    options: Omit<LoadRequest, 'version'> = {},
  ): Promise<void> {
    for await (const event of this.#events(
      '/versions/load',
      { version, ...options },
      (value): value is LoadEvent => isEvent(value, LOAD_EVENTS),
    )) {
      onProgress?.(event)
      if (event.type === 'error') throw new RuntimeError(event.error)
      if (event.type === 'ready') return
    }
    throw this.#brokeOff()
  }

  async unload(version: VersionId): Promise<void> {
    await this.#call('POST', '/versions/unload', UNLOAD_TIMEOUT_MS, JSON.stringify({ version }))
  }

  async want(request: WantRequest): Promise<void> {
    await this.#call('POST', '/versions/want', STATS_TIMEOUT_MS, JSON.stringify(request))
  }

  async fit(version: VersionId): Promise<Fit> {
    const body = JSON.stringify({ version })
    return this.#parse(await this.#call('POST', '/versions/fit', STATS_TIMEOUT_MS, body)) as Fit
  }

  async stats(): Promise<HostStats> {
    return this.#parse(await this.#call('GET', '/stats', STATS_TIMEOUT_MS, null)) as HostStats
  }

  async close(): Promise<void> {
    await this.#pool.destroy()
  }

  /** Posts, and yields the lines of the answer up to where it ends; ending the iteration early closes the connection. */
  async *#events<T>(
    path: string,
    body: object,
    isExpected: (value: unknown) => value is T,
    signal?: AbortSignal,
  ): AsyncGenerator<T, void> {
    signal?.throwIfAborted()
    const answer = new Answer()
    const onAbort = () => answer.abort(signal?.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      const bytes = Buffer.from(JSON.stringify(body))
      // Told here, because a host that stops reading closes the connection under its own refusal.
      if (bytes.length > MAX_BODY_BYTES) throw tooLong(bytes.length)
      this.#pool.dispatch({ path, method: 'POST', headers: this.#headers, body: bytes }, answer)
      for await (const value of answer.values()) {
        if (!isExpected(value)) throw new MalformedLine(`an unknown event: ${shown(value)}`)
        yield value
      }
    } catch (error) {
      if (signal?.aborted) throw signal.reason
      throw this.#describe(error, answer.hasBegun)
    } finally {
      signal?.removeEventListener('abort', onAbort)
      answer.abort(new Error('nobody reads the answer any more'))
    }
  }

  async #call(
    method: 'GET' | 'POST',
    path: string,
    timeoutMs: number,
    body: string | null,
  ): Promise<string> {
    const headers = this.#headers
    let hasBegun = false
    try {
      const headersTimeout = timeoutMs
      const answer = await this.#pool.request({ method, path, headers, body, headersTimeout })
      hasBegun = true
      const text = await answer.body.text()
      if (answer.statusCode >= 300) throw new RefusedAnswer(answer.statusCode, text)
      return text
    } catch (error) {
      throw this.#describe(error, hasBegun)
    }
  }

  #parse(body: string): unknown {
    try {
      return JSON.parse(body)
    } catch (cause) {
      throw this.#error('internal', 'sent figures that are not JSON', cause)
    }
  }

  #describe(error: unknown, hasBegun: boolean): RuntimeError {
    if (error instanceof RuntimeError) return error
    if (error instanceof MalformedLine)
      return this.#error('internal', `sent ${error.message}`, error)
    if (error instanceof RefusedAnswer) {
      const failure = readFailure(error.body)
      if (failure) return new RuntimeError(failure, { cause: error })
      return this.#error('internal', `answered with status ${error.status}`, error)
    }
    const what = hasBegun ? 'broke off' : "can't be reached"
    return this.#error('runtime_unreachable', `${what}: ${reasonOf(error)}`, error)
  }

  #brokeOff(): RuntimeError {
    return this.#error('runtime_unreachable', 'broke off before its answer was complete')
  }

  #error(code: RuntimeErrorCode, what: string, cause?: unknown): RuntimeError {
    return new RuntimeError({ code, message: `${this.#name} ${what}.` }, { cause })
  }
}

function isEvent(value: unknown, types: string[]): boolean {
  if (typeof value !== 'object' || value === null || !('type' in value)) return false
  return typeof value.type === 'string' && types.includes(value.type)
}

/** The body of a refusal, where it is the runtime's. */
function readFailure(body: string): RuntimeFailure | null {
  try {
    const { code, message } = (JSON.parse(body) as { error: RuntimeFailure }).error
    return typeof code === 'string' && typeof message === 'string' ? { code, message } : null
  } catch {
    return null
  }
}

function reasonOf(error: unknown): string {
  // Where a name has several addresses, what went wrong with each is in `errors`, and `message` is empty.
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join(', ')
  return error instanceof Error ? error.message || error.name : String(error)
}

function tooLong(bytes: number): RuntimeError {
  const message = `The request has ${bytes} bytes; a runtime takes up to ${MAX_BODY_BYTES}.`
  return new RuntimeError({ code: 'invalid_request', message })
}

function shown(value: unknown): string {
  return JSON.stringify(value).slice(0, 80)
}
