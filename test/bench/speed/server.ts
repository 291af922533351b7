// `headrace serve` as a user starts it (gateway, runtime host, engine, PostgreSQL), and a client that streams from it.
//
// The client is on the same cores as everything else, as it is for the engine's own figures.

import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import type { ChildProcess } from 'node:child_process'
import type { Readable } from 'node:stream'

import { createParser } from 'eventsource-parser'
import { Pool } from 'undici'

import type { StoredVersion } from '../../../models/store.ts'
import { cleanEnvironment } from '../environment.ts'
import { DATA_DIR, ROOT } from '../folders.ts'
import type { Answer } from './answers.ts'
import { CONTEXT_TOKENS } from './engine.ts'

export interface ServerRequest {
  promptIds: number[]
  maxTokens: number
}

interface Chunk {
  choices?: { text: string }[]
  usage?: {
    prompt_tokens: number
    completion_tokens: number
    prompt_tokens_details?: { cached_tokens?: number }
  } | null
  error?: { message: string }
}

const STOP_TIMEOUT_MS = 40_000

export class BenchServer implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #key: string
  readonly #version: StoredVersion
  #client: Pool | null = null
  #said = ''

  private constructor(version: StoredVersion, threads: number, signal: AbortSignal) {
    this.#version = version
    this.#key = `hr_bench_${randomBytes(24).toString('hex')}`
    this.#child = spawn(join(ROOT, 'headrace'), ['serve'], {
      env: cleanEnvironment({
        HEADRACE_PORT: '0',
        HEADRACE_DATA_DIR: DATA_DIR,
        HEADRACE_ADMIN_KEY: this.#key,
        HEADRACE_DEFAULT_MODEL: version.id,
        HEADRACE_THREADS: String(threads),
        HEADRACE_CONTEXT: String(CONTEXT_TOKENS),
      }),
      stdio: ['ignore', 'pipe', 'pipe'],
      signal,
    })
    // It is told by whoever waits; an abort is an 'error' too.
    this.#child.on('error', () => {})
  }

  static async start(
    version: StoredVersion,
    threads: number,
    signal: AbortSignal,
  ): Promise<BenchServer> {
    const server = new BenchServer(version, threads, signal)
    try {
      server.#client = new Pool(await server.#ready(), { connections: null, pipelining: 1 })
      return server
    } catch (error) {
      await server[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Sends all at once; resolves when the last has ended. */
  async run(requests: readonly ServerRequest[]): Promise<Answer[]> {
    return Promise.all(requests.map((request) => this.#stream(request)))
  }

  /** @returns the value of a metric without labels; null where it is not exported */
  async metric(name: string): Promise<number | null> {
    const { body } = await this.#connected.request({ path: '/metrics', method: 'GET' })
    const value = new RegExp(`^${name} (\\S+)$`, 'm').exec(await body.text())?.[1]
    return value === undefined ? null : Number(value)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client?.destroy()
    const child = this.#child
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGTERM')
    const cut = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
    await gone
    clearTimeout(cut)
  }

  get #connected(): Pool {
    if (!this.#client) throw new Error('The server is not ready. This is a bug.')
    return this.#client
  }

  /** @returns its address, as soon as it has said that it is ready */
  async #ready(): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    const listen = (stream: Readable | null) =>
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#said = (this.#said + text).slice(-20_000)
        const url = /Headrace is ready[\s\S]*URL +(http:\S+)\/v1/.exec(this.#said)?.[1]
        if (url !== undefined) resolve(url)
      })
    listen(this.#child.stdout)
    listen(this.#child.stderr)
    this.#child.once('error', reject)
    this.#child.once('exit', (code, signal) => {
      reject(new Error(`headrace serve ended with ${signal ?? code}:\n${this.#said}`))
    })
    return promise
  }

  async #stream({ promptIds, maxTokens }: ServerRequest): Promise<Answer> {
    const sentMs = performance.now()
    const { statusCode, body } = await this.#connected.request({
      path: '/v1/completions',
      method: 'POST',
      headers: { authorization: `Bearer ${this.#key}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        model: this.#version.id,
        prompt: promptIds,
        max_tokens: maxTokens,
        temperature: 0,
        repetition_penalty: 1,
        stream: true,
        stream_options: { include_usage: true },
      }),
    })
    if (statusCode !== 200) {
      throw new Error(`The gateway answered with ${statusCode}: ${await body.text()}`)
    }
    const timesMs: number[] = []
    let usage: Chunk['usage'] = null
    let isComplete = false
    const parser = createParser({
      onEvent({ data }) {
        if (data === '[DONE]') {
          isComplete = true
          return
        }
        const chunk = JSON.parse(data) as Chunk
        if (chunk.error) throw new Error(`A stream ended with an error: ${chunk.error.message}`)
        if (chunk.choices?.[0] && chunk.choices[0].text !== '') timesMs.push(performance.now())
        usage = chunk.usage ?? usage
      },
    })
    body.setEncoding('utf8')
    for await (const text of body) parser.feed(text as string)
    const endMs = performance.now()
    const { prompt_tokens, completion_tokens, prompt_tokens_details } = completeUsage(
      isComplete,
      usage,
    )
    // The wire does not say how many tokens a piece of text is.
    const tokens = completion_tokens / timesMs.length
    return {
      sentMs,
      endMs,
      deltas: timesMs.map((atMs) => ({ atMs, tokens })),
      promptTokens: prompt_tokens,
      cachedTokens: prompt_tokens_details?.cached_tokens ?? 0,
      completionTokens: completion_tokens,
    }
  }
}

function completeUsage(isComplete: boolean, usage: Chunk['usage']) {
  if (isComplete && usage) return usage
  throw new Error('A stream was cut off, or had no usage.')
}
