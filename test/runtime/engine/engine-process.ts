// An engine process as its host forks it, with what it says sorted by request.

import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { TestContext } from 'node:test'

import type {
  EngineEvent,
  EngineMessage,
  EngineOwnStats,
  EngineSettings,
  HostMessage,
} from '../../../runtime/engine/messages.ts'
import { PROCESSOR } from '../../../runtime/ort/device-choice.ts'
import type { GenerateRequest, LoadEvent, RuntimeFailure } from '../../../runtime/protocol.ts'

const ENTRY = fileURLToPath(new URL('../../../runtime/engine/main.ts', import.meta.url))

const ENDS = new Set<EngineEvent['type']>(['done', 'encoded', 'error'])

export class EngineProcess {
  readonly child: ChildProcess
  readonly loadEvents: LoadEvent[] = []
  /** what became of each adapter */
  readonly adapters = new Map<string, RuntimeFailure | null>()
  stderr = ''
  readonly #events = new Map<string, EngineEvent[]>()
  readonly #ended: Promise<unknown[]>
  #wake = Promise.withResolvers<void>()
  #stats: EngineOwnStats | null = null

  constructor(t: TestContext, folder: string, settings: Partial<EngineSettings> = {}) {
    const all: EngineSettings = {
      folder,
      version: 'tiny@1',
      device: PROCESSOR,
      library: null,
      threads: 2,
      slots: 8,
      contextTokens: null,
      kvBudgetBytes: 2 ** 30,
      prefillChunk: 64,
      batchTokens: 256,
      maxWaiting: 64,
      ...settings,
    }
    const child = fork(ENTRY, [JSON.stringify(all)], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      execArgv: [],
    })
    this.child = child
    this.#ended = once(child, 'exit')
    child.stderr?.on('data', (text) => (this.stderr += String(text)))
    child.on('message', (message: EngineMessage) => this.#onMessage(message))
    child.on('exit', () => this.#change())
    t.after(() => child.kill('SIGKILL'))
  }

  send(message: HostMessage): void {
    this.child.send(message)
  }

  generate(request: Partial<GenerateRequest> & { id: string }): void {
    const prompt = { kind: 'chat' as const, messages: [] }
    const whole = { version: 'tiny@1', prompt, sampling: {}, stop: [], ...request }
    this.send({ type: 'generate', request: whole })
  }

  /** Waits until a claim is true; fails where the process ends first. */
  async until(what: string, isTrue: () => boolean): Promise<void> {
    while (!isTrue()) {
      if (this.child.exitCode !== null) throw new Error(`it ended before ${what}: ${this.stderr}`)
      await this.#wake.promise
    }
  }

  async ready(): Promise<void> {
    await this.until('it was ready', () => this.loadEvents.some(({ type }) => type === 'ready'))
  }

  /** @returns the answer's text and last event */
  async answer(id: string): Promise<{ text: string; last: EngineEvent }> {
    const lastOf = () => this.events(id).find(({ type }) => ENDS.has(type))
    await this.until(`${id} was answered`, () => lastOf() !== undefined)
    const text = this.events(id).map((event) => (event.type === 'delta' ? event.text : ''))
    return { text: text.join(''), last: lastOf()! }
  }

  async stats(): Promise<EngineOwnStats> {
    this.#stats = null
    this.send({ type: 'stats', ask: 1 })
    await this.until('it told its figures', () => this.#stats !== null)
    return this.#stats!
  }

  events(id: string): EngineEvent[] {
    return this.#events.get(id) ?? []
  }

  async exitCode(): Promise<unknown> {
    const [code] = await this.#ended
    return code
  }

  #onMessage(message: EngineMessage): void {
    if (message.type === 'stats') this.#stats = message.stats
    else if (message.type === 'events') {
      for (const [id, event] of message.events) this.#events.set(id, [...this.events(id), event])
    } else if (message.type === 'adapter') this.adapters.set(message.version, message.error)
    else if (message.type !== 'device') this.loadEvents.push(message)
    this.#change()
  }

  #change(): void {
    this.#wake.resolve()
    this.#wake = Promise.withResolvers()
  }
}
