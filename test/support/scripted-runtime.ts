// A runtime whose answers, delays and faults the test writes itself.
//
// It keeps the contract of runtime/client.ts to the letter (an abort rejects with the signal's reason, a failure is a
// RuntimeError), so that what is seen of the gateway here is what a real engine would make it do.

import { RuntimeError } from '../../runtime/client.ts'
import type { Encoded, Runtime } from '../../runtime/client.ts'
import type {
  EncodeRequest,
  EngineStats,
  Fit,
  GenerateEvent,
  GenerateRequest,
  HostMemory,
  HostStats,
  RuntimeFailure,
  TokenLogprob,
  WantRequest,
} from '../../runtime/protocol.ts'

export type EngineEvent = Exclude<GenerateEvent, { type: 'error' }>
export type Script = (request: GenerateRequest, signal: AbortSignal) => AsyncIterable<EngineEvent>

export const WORDS = ['Hello', ' there', ', how', ' are', ' you?']

export class ScriptedRuntime implements Runtime {
  /** what the next requests get */
  script: Script = (request) => answerWith(WORDS, request)
  /** what the next requests to read texts get */
  encodeScript: (request: EncodeRequest, signal: AbortSignal) => Promise<Encoded> = () =>
    Promise.reject(failure('wrong_kind', "This version is of the kind 'generate'."))
  readonly encodeRequests: EncodeRequest[] = []
  /** all requests so far */
  readonly requests: GenerateRequest[] = []
  /** ids of requests that were cancelled */
  readonly cancelled: string[] = []
  readonly loaded = new Set<string>()
  /** what loading does; loaded versions never come here */
  onLoad: (version: string) => Promise<void> = () => Promise.resolve()
  loads = 0
  statsFailure: Error | null = null
  engine: Partial<EngineStats> = {}
  memory: HostMemory = {
    totalBytes: 8_000_000_000,
    freeBytes: 4_000_000_000,
    budgetBytes: 6_000_000_000,
    usedBytes: 200_000_000,
  }
  wanted: WantRequest | null = null

  constructor(loaded: string[]) {
    for (const version of loaded) this.loaded.add(version)
  }

  async *generate(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<EngineEvent> {
    this.requests.push(request)
    let isWhole = false
    try {
      signal.throwIfAborted()
      if (!this.loaded.has(request.version)) {
        throw failure('version_not_loaded', `${request.version} is not loaded.`)
      }
      for await (const event of this.script(request, signal)) {
        signal.throwIfAborted()
        if (event.type === 'done') isWhole = true
        yield event
      }
    } finally {
      if (!isWhole) this.cancelled.push(request.id)
    }
  }

  async encode(request: EncodeRequest, signal: AbortSignal): Promise<Encoded> {
    this.encodeRequests.push(request)
    signal.throwIfAborted()
    if (!this.loaded.has(request.version)) {
      throw failure('version_not_loaded', `${request.version} is not loaded.`)
    }
    return this.encodeScript(request, signal)
  }

  async load(version: string): Promise<void> {
    if (this.loaded.has(version)) return
    this.loads++
    await this.onLoad(version)
    this.loaded.add(version)
  }

  unload(version: string): Promise<void> {
    this.loaded.delete(version)
    return Promise.resolve()
  }

  stats(): Promise<HostStats> {
    if (this.statsFailure) return Promise.reject(this.statsFailure)
    const engines = [...this.loaded].map((version) => ({ ...IDLE_ENGINE, version, ...this.engine }))
    return Promise.resolve({ pid: process.pid, device: 'cpu', memory: this.memory, engines })
  }

  want(request: WantRequest): Promise<void> {
    if (this.statsFailure) return Promise.reject(this.statsFailure)
    this.wanted = request
    return Promise.resolve()
  }

  fit(version: string): Promise<Fit> {
    if (this.statsFailure) return Promise.reject(this.statsFailure)
    const isLoaded = this.loaded.has(version)
    const { freeBytes } = this.memory
    const need = { needBytes: isLoaded ? 0 : 200_000_000, freeBytes }
    const fits = isLoaded || freeBytes >= need.needBytes
    return Promise.resolve({ version, fits, isLoaded, ...need, evicts: [], holders: [] })
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

export function failure(code: RuntimeFailure['code'], message: string, more = {}): RuntimeError {
  return new RuntimeError({ code, message, ...more })
}

export function started(promptTokens = 7, cachedTokens = 2): EngineEvent {
  return { type: 'started', promptTokens, cachedTokens, queueMs: 3 }
}

export function delta(text: string, request?: GenerateRequest): EngineEvent {
  const alternatives = request?.sampling.logprobs
  const logprobs = alternatives === undefined ? undefined : [logprobOf(text, alternatives)]
  return { type: 'delta', text, tokens: 1, logprobs }
}

export function done(
  completionTokens: number,
  finishReason: 'stop' | 'length' = 'stop',
): EngineEvent {
  return {
    type: 'done',
    finishReason,
    usage: { promptTokens: 7, cachedTokens: 2, completionTokens },
    timings: { queueMs: 3, prefillMs: 11, decodeMs: 29, timeToFirstTokenMs: 14 },
  }
}

export async function* answerWith(
  words: string[],
  request?: GenerateRequest,
): AsyncGenerator<EngineEvent> {
  yield started()
  for (const word of words) {
    yield delta(word, request)
    // As from a socket: never all at once.
    await new Promise((resolve) => setImmediate(resolve))
  }
  yield done(words.length)
}

/** Waits until the request is cancelled, as an engine that is stuck would. */
export function stuck(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>()
  const cancel = () => reject(signal.reason)
  if (signal.aborted) cancel()
  signal.addEventListener('abort', cancel, { once: true })
  return promise
}

function logprobOf(text: string, alternatives: number): TokenLogprob {
  const bytes = [...Buffer.from(text)]
  const top = Array.from({ length: alternatives }, (_, index) => ({
    token: index === 0 ? text : `${text}${index}`,
    bytes,
    logprob: -0.25 - index,
  }))
  return { token: text, bytes, logprob: -0.25, top }
}

const IDLE_ENGINE: EngineStats = {
  version: '',
  state: 'ready',
  pid: process.pid,
  restarts: 0,
  running: 0,
  waiting: 0,
  slots: 8,
  contextTokens: 2048,
  kvTokensUsed: 0,
  kvTokensCapacity: 16384,
  memoryBytes: 200_000_000,
  lastUsedAt: Date.parse('2026-03-01T00:00:00Z'),
  isWanted: false,
  loadMs: 900,
  steps: 0,
  stepSequences: 0,
  prefillTokens: 0,
  decodeTokens: 0,
  cachedTokens: 0,
  prefillSeconds: 0,
  decodeSeconds: 0,
}
