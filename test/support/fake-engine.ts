// An engine process that computes nothing: it speaks messages.ts, and does what it is told by its version folder and by
// the prompts it gets. What happens to it is written to a journal in the folder, which outlives it.
//
//   <folder>/script.json   FakeScript: how it loads
//   a text prompt          JSON of FakePrompt: what to answer, and how
//   <folder>/journal       one JSON line for each start, cancel and drain
//
// Like the real one it ends when its channel to the host does, and leaves signals of the terminal to the host.

import { appendFileSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

import type { EngineMessage, EngineSettings, HostMessage } from '../../runtime/engine/messages.ts'
import type { GenerateEvent, GenerateRequest, RuntimeFailure } from '../../runtime/protocol.ts'

export interface FakeScript {
  loadMs?: number
  /** memory that it takes, beside its process */
  holdBytes?: number
  /** what the load ends with instead of being ready; from the nth start on (counted from 1) */
  loadError?: RuntimeFailure & { fromStart?: number }
  /** exit with 3 while loading, with this as last words */
  exitWhileLoading?: string
}

export interface FakePrompt {
  /** deltas of the answer; default 3 */
  deltas?: number
  text?: string
  /** milliseconds between two deltas; default 0: all in one message */
  everyMs?: number
  /** wait this long before `started` */
  startMs?: number
  /** write this to stderr and abort */
  crash?: string
  refuse?: RuntimeFailure
}

export interface JournalEntry {
  event: 'start' | 'generate' | 'cancel' | 'drain'
  pid: number
  id?: string
}

class FakeEngine {
  readonly #folder: string
  #held = Buffer.alloc(0)
  readonly #running = new Map<string, { isCancelled: boolean }>()
  #isDraining = false
  #events: [string, GenerateEvent][] = []

  constructor(folder: string) {
    this.#folder = folder
  }

  async start(): Promise<void> {
    const start = this.#note('start')
    const script = JSON.parse(readFileSync(`${this.#folder}/script.json`, 'utf8')) as FakeScript
    process.on('message', (message: HostMessage) => this.#receive(message))
    this.#send({ type: 'progress', phase: 'loading', fraction: 0.5 })
    // Written to, or the system would not count it.
    this.#held = Buffer.alloc(script.holdBytes ?? 0, 1)
    await sleep(script.loadMs ?? 0)
    if (script.exitWhileLoading !== undefined) {
      console.error(script.exitWhileLoading)
      process.exit(3)
    }
    if (script.loadError && start >= (script.loadError.fromStart ?? 1)) {
      const { code, message } = script.loadError
      this.#send({ type: 'error', error: { code, message } })
    } else {
      this.#send({ type: 'ready', loadMs: script.loadMs ?? 0 })
    }
  }

  #receive(message: HostMessage): void {
    switch (message.type) {
      case 'generate':
        this.#note('generate', message.request.id)
        void this.#answer(message.request)
        break
      case 'encode': {
        const error = { code: 'wrong_kind', message: 'It only pretends to generate.' } as const
        this.#send({ type: 'events', events: [[message.request.id, { type: 'error', error }]] })
        break
      }
      case 'cancel':
        this.#note('cancel', message.id)
        this.#end(message.id)
        break
      case 'drain':
        this.#note('drain')
        this.#isDraining = true
        this.#leaveIfIdle()
        break
      case 'adapter':
        this.#send({ type: 'adapter', version: message.version, error: null })
        break
      case 'drop-adapter':
        break
      case 'stats':
        this.#stats(message.ask)
    }
  }

  async #answer({ id, prompt }: GenerateRequest): Promise<void> {
    const script: FakePrompt = prompt.kind === 'text' ? (JSON.parse(prompt.text) as FakePrompt) : {}
    const run = { isCancelled: false }
    this.#running.set(id, run)
    await sleep(script.startMs ?? 0)
    if (run.isCancelled) return
    if (script.refuse) {
      this.#emit(id, { type: 'error', error: script.refuse })
      return this.#end(id)
    }
    this.#emit(id, { type: 'started', promptTokens: 7, cachedTokens: 2, queueMs: 0 })
    if (script.crash) {
      process.stderr.write(`${script.crash}\n`)
      process.abort()
    }
    const deltas = script.deltas ?? 3
    for (let n = 0; n < deltas; n++) {
      if (script.everyMs) await sleep(script.everyMs)
      if (run.isCancelled) return
      this.#emit(id, { type: 'delta', text: script.text ?? `word${n} `, tokens: 1 })
    }
    this.#emit(id, {
      type: 'done',
      finishReason: 'stop',
      usage: { promptTokens: 7, cachedTokens: 2, completionTokens: deltas },
      timings: { queueMs: 0, prefillMs: 0, decodeMs: 0, timeToFirstTokenMs: 0 },
    })
    this.#end(id)
  }

  /** As in an engine, all that one turn produced is one message. */
  #emit(id: string, event: GenerateEvent): void {
    if (this.#events.push([id, event]) > 1) return
    setImmediate(() => {
      const events = this.#events
      this.#events = []
      this.#send({ type: 'events', events })
    })
  }

  #end(id: string): void {
    const run = this.#running.get(id)
    if (run) run.isCancelled = true
    this.#running.delete(id)
    this.#leaveIfIdle()
  }

  #leaveIfIdle(): void {
    const isIdle = this.#running.size === 0 && this.#events.length === 0
    if (this.#isDraining && isIdle && process.connected) process.disconnect()
  }

  #stats(ask: number): void {
    this.#send({
      type: 'stats',
      ask,
      stats: {
        running: this.#running.size,
        waiting: 0,
        slots: 32,
        contextTokens: 2048,
        kvTokensUsed: 0,
        kvTokensCapacity: 65536,
        memoryBytes: 1 + this.#held.length,
        steps: 1,
        stepSequences: 1,
        prefillTokens: 0,
        decodeTokens: 0,
        cachedTokens: 0,
        prefillSeconds: 0,
        decodeSeconds: 0,
      },
    })
  }

  #send(message: EngineMessage): void {
    // Only what was sent before the channel closes arrives.
    process.send?.(message, undefined, undefined, () => this.#leaveIfIdle())
  }

  /** @returns how many entries of the kind there are now */
  #note(event: JournalEntry['event'], id?: string): number {
    const path = `${this.#folder}/journal`
    appendFileSync(path, JSON.stringify({ event, pid: process.pid, id }) + '\n')
    const isOfKind = (line: string) => line.includes(`"event":"${event}"`)
    return readFileSync(path, 'utf8').split('\n').filter(isOfKind).length
  }
}

if (import.meta.main) {
  const { folder } = JSON.parse(process.argv[2] ?? '') as EngineSettings
  process.on('disconnect', () => process.exit(0))
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => {})
  await new FakeEngine(folder).start()
}
