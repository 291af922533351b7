// An upstream whose answers and faults the test writes itself: a real HTTP server on a port of its own.
//
// A script is a function that gets one request and does with its connection what it likes, step by step; what is not
// sent by the time it returns is never sent, and the connection stays as it is (that is a stall). Scripts in `next` are
// for one request each; `script` is for all others.
//
//   const upstream = await ScriptedUpstream.start(t)
//   upstream.next.push(refuseWith(429, { 'retry-after': '1' }), (x) => x.stream(['a']).then(() => x.cut()))

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { brotliCompressSync, createGzip, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import type { Gzip } from 'node:zlib'

import { defer } from './lasting.ts'
import type { Lasting } from './lasting.ts'

export interface ReceivedRequest {
  method: string
  /** with its query */
  path: string
  headers: Record<string, string | string[] | undefined>
  bytes: Buffer
  /** the body, parsed; undefined where it is no JSON */
  // oxlint-disable-next-line typescript/no-explicit-any -- tests know what they sent
  json: any
  /** resolves when the connection is gone before the answer was whole */
  hungUp: Promise<void>
  isHungUp: boolean
}

export type Script = (exchange: ScriptedExchange) => Promise<void> | void

export interface StreamOptions {
  /** line ends; default LF */
  lineEnd?: string
  /** each write has this many bytes, wherever that cuts; default: an event is a write */
  sliceBytes?: number
  /** between events */
  delayMs?: number
  gzip?: boolean
  headers?: Record<string, string>
}

export class ScriptedUpstream {
  /** for every request that `next` has nothing for */
  script: Script = (exchange) => exchange.json(200, {})
  /** one for each of the next requests */
  readonly next: Script[] = []
  readonly requests: ReceivedRequest[] = []
  #arrivals: (() => void)[] = []
  /** connections that were opened, ever */
  connections = 0
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #port = 0

  private constructor() {
    this.#server = createServer((request, response) => void this.#serve(request, response))
    // A stall is what a script wants, never what the server decides.
    this.#server.requestTimeout = 0
    this.#server.keepAliveTimeout = 0
    this.#server.on('connection', (socket) => {
      this.connections++
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
      socket.on('error', () => {})
    })
  }

  static async start(t: Lasting): Promise<ScriptedUpstream> {
    const upstream = new ScriptedUpstream()
    await upstream.accept()
    defer(t, () => upstream.refuse())
    return upstream
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  /** The only request so far. */
  get only(): ReceivedRequest {
    const [request, ...others] = this.requests
    if (!request || others.length > 0) throw new Error(`${this.requests.length} requests, not 1`)
    return request
  }

  /** Waits for the n-th request, counted from 1. */
  async received(count: number): Promise<ReceivedRequest> {
    while (this.requests.length < count) {
      await new Promise<void>((resolve) => this.#arrivals.push(resolve))
    }
    return this.requests[count - 1]!
  }

  /** Refuses connections, and cuts those that are there. */
  async refuse(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    if (!this.#server.listening) return
    this.#server.close()
    await once(this.#server, 'close')
  }

  /** Takes connections, at the same port as before. */
  async accept(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.#port = (this.#server.address() as AddressInfo).port
  }

  async #serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const { promise: hungUp, resolve } = Promise.withResolvers<void>()
    const request: ReceivedRequest = {
      method: message.method ?? '',
      path: message.url ?? '',
      headers: message.headers,
      bytes: Buffer.alloc(0),
      json: undefined,
      hungUp,
      isHungUp: false,
    }
    response.on('close', () => {
      if (response.writableFinished) return
      request.isHungUp = true
      resolve()
    })
    try {
      request.bytes = await buffer(message)
    } catch {
      return
    }
    try {
      request.json = JSON.parse(request.bytes.toString())
    } catch {
      // Then it is none.
    }
    this.requests.push(request)
    for (const wake of this.#arrivals.splice(0)) wake()
    const script = this.next.shift() ?? this.script
    try {
      await script(new ScriptedExchange(request, response))
    } catch (error) {
      // The test that wrote the script sees a broken connection, and why.
      if (!request.isHungUp) console.error(error)
      response.destroy()
    }
  }
}

export class ScriptedExchange {
  readonly request: ReceivedRequest
  readonly #response: ServerResponse
  #gzip: Gzip | null = null

  constructor(request: ReceivedRequest, response: ServerResponse) {
    this.request = request
    this.#response = response
  }

  /** The whole answer at once. */
  json(status: number, body: unknown, headers: Record<string, string> = {}): void {
    this.send(status, JSON.stringify(body), { 'content-type': 'application/json', ...headers })
  }

  send(status: number, body: string | Buffer, headers: Record<string, string> = {}): void {
    this.#response.writeHead(status, { 'content-length': Buffer.byteLength(body), ...headers })
    this.#response.end(body)
  }

  head(status: number, headers: Record<string, string> = {}): void {
    this.#response.writeHead(status, headers)
    this.#response.flushHeaders()
  }

  /** Waits until the connection takes more. */
  async write(bytes: string | Buffer): Promise<void> {
    if (this.request.isHungUp) return
    const { promise, resolve } = Promise.withResolvers<void>()
    if (this.#gzip) {
      this.#gzip.write(bytes)
      this.#gzip.flush(() => resolve())
      return promise
    }
    if (this.#response.write(bytes)) return
    await Promise.race([once(this.#response, 'drain'), this.request.hungUp])
  }

  /** Opens an event stream where there is none yet, and writes events: objects as JSON, strings as they are. */
  async stream(data: unknown[], options: StreamOptions = {}): Promise<void> {
    const { lineEnd = '\n', sliceBytes, delayMs, headers = {} } = options
    if (!this.#response.headersSent) {
      const encoding: Record<string, string> = options.gzip ? { 'content-encoding': 'gzip' } : {}
      this.head(200, { 'content-type': 'text/event-stream', ...encoding, ...headers })
      if (options.gzip) this.#gzip = this.#compress()
    }
    const frames = data.map(
      (each) =>
        `data: ${typeof each === 'string' ? each : JSON.stringify(each)}${lineEnd}${lineEnd}`,
    )
    if (sliceBytes === undefined) {
      for (const frame of frames) {
        await this.write(frame)
        if (delayMs !== undefined) await sleep(delayMs)
      }
      return
    }
    const bytes = Buffer.from(frames.join(''))
    for (let at = 0; at < bytes.length; at += sliceBytes) {
      await this.write(bytes.subarray(at, at + sliceBytes))
      // So that the slices arrive as slices.
      await sleep(delayMs ?? 1)
    }
  }

  async end(): Promise<void> {
    if (this.#gzip) this.#gzip.end()
    else this.#response.end()
    await Promise.race([once(this.#response, 'close'), this.request.hungUp])
  }

  /** Breaks the connection: the other side sees a reset. */
  cut(): void {
    this.#response.socket?.resetAndDestroy()
  }

  /** Ends its side of the connection without ending the answer, and leaves the other open. */
  halfClose(): void {
    this.#response.socket?.end()
  }

  /** Bytes past HTTP. */
  raw(bytes: string | Buffer): void {
    this.#response.socket?.write(bytes)
  }

  /** Sends nothing until the other side is gone. */
  async stall(): Promise<void> {
    await this.request.hungUp
  }

  delay(ms: number): Promise<void> {
    return sleep(ms)
  }

  #compress(): Gzip {
    const gzip = createGzip()
    gzip.pipe(this.#response)
    return gzip
  }
}

/** A refusal in OpenAI's shape. */
export function refuseWith(
  status: number,
  headers: Record<string, string> = {},
  error: Record<string, unknown> = {},
): Script {
  const body = { error: { message: `status ${status}`, type: 'error', ...error } }
  return (exchange) => exchange.json(status, body, headers)
}

export const COMPRESSIONS: Record<string, [encoding: string, compress: (text: string) => Buffer]> =
  {
    gzip: ['gzip', (text) => gzipSync(text)],
    brotli: ['br', (text) => brotliCompressSync(text)],
    deflate: ['deflate', (text) => deflateSync(text)],
    'deflate without its header': ['deflate', (text) => deflateRawSync(text)],
  }

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
