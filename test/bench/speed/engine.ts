// A version's engine process as the runtime host starts it, spoken to as the host does: over Node's IPC channel.
//
// The host's own class holds the process and its own defaults are the settings, so that nothing here can differ from what
// is served. Times are taken where messages arrive.

import { fileURLToPath } from 'node:url'

import type { StoredVersion } from '../../../models/store.ts'
import type { EngineEvent, EngineMessage } from '../../../runtime/engine/messages.ts'
import { EngineProcess } from '../../../runtime/host/engine-process.ts'
import type { GenerateRequest } from '../../../runtime/protocol.ts'
import { resolveSettings } from '../../../runtime/settings.ts'
import { cleanEnvironment } from '../environment.ts'
import { DATA_DIR } from '../folders.ts'
import type { Answer } from './answers.ts'

type EngineNews = Exclude<EngineMessage, { type: 'stats' }>
export type EngineRequest = Pick<GenerateRequest, 'prompt' | 'maxTokens'> & { ignoreEnd?: boolean }

interface Running {
  answer: Answer
  text: string
  resolve(ended: EngineAnswer): void
}

const STATS_TIMEOUT_MS = 5_000

export interface EngineAnswer extends Answer {
  text: string
}

const ENTRY = fileURLToPath(new URL('../../../runtime/engine/main.ts', import.meta.url))

/**
 * Slots of the model's whole context would not fit 32 times into a small machine's budget; how long a slot could become
 * does not change how fast it is.
 */
export const CONTEXT_TOKENS = 2048

export class BenchEngine implements AsyncDisposable {
  readonly version: StoredVersion
  readonly #process: EngineProcess
  readonly #ready = Promise.withResolvers<number>()
  readonly #gone = Promise.withResolvers<never>()
  readonly #ended = Promise.withResolvers<void>()
  readonly #running = new Map<string, Running>()
  readonly #lastLines: string[] = []
  /** from the fork until it answers, and what it says of that itself */
  loadMs = { total: 0, own: 0 }
  #count = 0

  private constructor(version: StoredVersion, threads: number) {
    this.version = version
    // Nobody may be waiting when it ends.
    this.#gone.promise.catch(() => {})
    this.#ready.promise.catch(() => {})
    const {
      device,
      library,
      hangMs,
      slots,
      contextTokens,
      kvBudgetBytes,
      prefillChunk,
      batchTokens,
      maxWaiting,
    } = resolveSettings({
      dataDir: DATA_DIR,
      address: 'http://127.0.0.1:0',
      contextTokens: CONTEXT_TOKENS,
    })
    const keep = (_context: object, line: string) => this.#lastLines.push(line)
    this.#process = new EngineProcess(
      { entry: ENTRY, env: cleanEnvironment(), hangMs },
      {
        folder: version.folder,
        version: version.id,
        device,
        library,
        threads,
        slots,
        contextTokens,
        kvBudgetBytes,
        prefillChunk,
        batchTokens,
        maxWaiting,
      },
      { onMessage: (message) => this.#onMessage(message), onEnd: (why) => this.#onEnd(why) },
      { info: keep, warn: keep, error: keep },
    )
  }

  static async start(
    version: StoredVersion,
    threads: number,
    signal: AbortSignal,
  ): Promise<BenchEngine> {
    const startMs = performance.now()
    const engine = new BenchEngine(version, threads)
    signal.addEventListener('abort', () => engine.#process.kill(), { once: true })
    const own = await Promise.race([engine.#ready.promise, engine.#gone.promise])
    engine.loadMs = { total: performance.now() - startMs, own }
    return engine
  }

  /** Sends all at once; resolves when the last has ended. */
  async run(requests: readonly EngineRequest[]): Promise<EngineAnswer[]> {
    const answers = requests.map((request) => this.#send(request))
    return Promise.race([Promise.all(answers), this.#gone.promise])
  }

  /** bytes in RAM, mapped weights included; null where it does not answer */
  async residentBytes(): Promise<number | null> {
    const stats = await this.#process.stats(STATS_TIMEOUT_MS)
    return stats?.memoryBytes ?? null
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill()
    await this.#ended.promise
  }

  #send({ prompt, maxTokens, ignoreEnd }: EngineRequest): Promise<EngineAnswer> {
    const { promise, resolve } = Promise.withResolvers<EngineAnswer>()
    const id = `bench-${this.#count++}`
    const answer: Answer = {
      sentMs: performance.now(),
      endMs: 0,
      deltas: [],
      promptTokens: 0,
      cachedTokens: 0,
      completionTokens: 0,
    }
    this.#running.set(id, { answer, text: '', resolve })
    this.#process.send({
      type: 'generate',
      request: {
        id,
        version: this.version.id,
        prompt,
        maxTokens,
        ignoreEnd,
        sampling: { temperature: 0, repetitionPenalty: 1 },
        stop: [],
      },
    })
    return promise
  }

  #onMessage(message: EngineNews): void {
    const nowMs = performance.now()
    if (message.type === 'ready') this.#ready.resolve(message.loadMs)
    if (message.type === 'error') this.#gone.reject(new Error(message.error.message))
    if (message.type !== 'events') return
    for (const [id, event] of message.events) this.#onEvent(id, event, nowMs)
  }

  #onEvent(id: string, event: EngineEvent, nowMs: number): void {
    const running = this.#running.get(id)
    if (!running) return
    const { answer } = running
    switch (event.type) {
      case 'started':
        answer.promptTokens = event.promptTokens
        answer.cachedTokens = event.cachedTokens
        break
      case 'delta':
        running.text += event.text
        answer.deltas.push({ atMs: nowMs, tokens: event.tokens })
        break
      case 'done':
        answer.endMs = nowMs
        answer.completionTokens = event.usage.completionTokens
        this.#running.delete(id)
        running.resolve({ ...answer, text: running.text })
        break
      case 'encoded':
        this.#gone.reject(new Error(`${this.version.id} answered what it was not asked`))
        break
      case 'error':
        this.#gone.reject(new Error(`${this.version.id} refused a request: ${event.error.message}`))
    }
  }

  #onEnd(why: string): void {
    const words = this.#lastLines.slice(-5).join('\n')
    this.#gone.reject(new Error(`The engine of ${this.version.id} ${why}\n${words}`))
    this.#ended.resolve()
  }
}
