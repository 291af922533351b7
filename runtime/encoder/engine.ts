// The loop of a model that reads whole texts: tokenise some → compute a batch → hand out what it gave.
//
// Requests come in and are cancelled between steps. A request may have thousands of texts: they are tokenised as they are
// needed, and computed among those of others. It is answered when all of them are done, in one piece.
//
// Knows: everybody else in this folder. Does not know: processes, files, what time it is (it is told).

import type { EncoderOutput } from '../../models/encoder.ts'
import type { EngineEvent, EngineOwnStats, EngineRequest } from '../engine/messages.ts'
import type { Loop } from '../engine/loop.ts'
import { Refusal } from '../engine/refusal.ts'
import type { EncodeRequest } from '../protocol.ts'
import { Asked } from './asked.ts'
import { Pool } from './pool.ts'
import type { EncodedText, Runner } from './runner.ts'
import type { EncoderText } from './text.ts'

export interface EncoderOptions {
  runner: Runner
  text: EncoderText
  output: EncoderOutput
  /** most places of a batch: its texts times the longest of them */
  batchTokens: number
  /** requests that may wait before the answer is `overloaded` */
  maxWaiting: number
  /** milliseconds, monotonic */
  now: () => number
}

interface Pooled extends EncodedText {
  owner: Asked
  length: number
  nth: number
  /** which of its owner's texts */
  index: number
}

// Tokens that are ready beyond the batch that is computed next: enough to choose like lengths from, and no more than a
// cancelled request may have had made for nothing.
const READY_BATCHES = 4

export class EncoderEngine implements Loop {
  readonly adapters = {
    prepare() {
      return Promise.reject(new Error('adapters are for models that generate'))
    },
    add() {
      throw new Error('adapters are for models that generate')
    },
    drop() {},
  }
  readonly #runner: Runner
  readonly #text: EncoderText
  readonly #output: EncoderOutput
  readonly #batchTokens: number
  readonly #maxWaiting: number
  readonly #now: () => number
  readonly #pool: Pool<Asked, Pooled>
  readonly #asked = new Map<string, Asked>()
  /** those that have texts which are not tokenised yet; taken in turn */
  #unread: Asked[] = []
  #events: [id: string, event: EngineEvent][] = []
  #isDraining = false
  #nth = 0
  #steps = 0
  #stepSequences = 0
  #tokens = 0
  #computeMs = 0

  constructor(options: EncoderOptions) {
    this.#runner = options.runner
    this.#text = options.text
    this.#output = options.output
    this.#batchTokens = options.batchTokens
    this.#maxWaiting = options.maxWaiting
    this.#now = options.now
    this.#pool = new Pool(options.batchTokens)
  }

  get isIdle(): boolean {
    return this.#asked.size === 0
  }

  /** Takes a request; what becomes of it is told by an event, a refusal too. */
  submit(request: EngineRequest): void {
    try {
      this.#accept(request)
    } catch (error) {
      this.#refuse(request.id, error)
    }
  }

  /** Drops its texts, now; no event follows. */
  cancel(id: string): void {
    const asked = this.#asked.get(id)
    if (asked) this.#drop(asked)
    this.#events = this.#events.filter(([owner]) => owner !== id)
  }

  /** Refuses what comes from now on; what was accepted is served. */
  drain(): void {
    this.#isDraining = true
  }

  step(): void {
    this.#read()
    const batch = this.#pool.take()
    if (batch.length === 0) return
    this.#steps++
    this.#stepSequences += batch.length
    const startedMs = this.#now()
    for (const { owner } of batch) owner.begin(startedMs)
    const rows = this.#runner.run(batch)
    this.#computeMs += this.#now() - startedMs
    for (const [place, { owner, index, length, ...text }] of batch.entries()) {
      this.#tokens += length
      if (this.#asked.get(owner.id) !== owner) continue
      try {
        owner.take(index, text, rows, place)
        if (owner.isDone) this.#finish(owner)
      } catch (error) {
        this.#fail(owner, error)
      }
    }
  }

  /** What happened since the last call, in order. */
  takeEvents(): [id: string, event: EngineEvent][] {
    const events = this.#events
    if (events.length > 0) this.#events = []
    return events
  }

  stats(): EngineOwnStats {
    const running = [...this.#asked.values()].filter(({ hasBegun }) => hasBegun).length
    return {
      running,
      waiting: this.#asked.size - running,
      slots: 0,
      contextTokens: this.#text.contextTokens,
      kvTokensUsed: 0,
      kvTokensCapacity: 0,
      memoryBytes: process.memoryUsage.rss(),
      steps: this.#steps,
      stepSequences: this.#stepSequences,
      prefillTokens: this.#tokens,
      decodeTokens: 0,
      cachedTokens: 0,
      prefillSeconds: this.#computeMs / 1000,
      decodeSeconds: 0,
    }
  }

  /** @throws where an invariant is broken */
  check(): void {
    this.#pool.check()
    if (this.#asked.size === 0 && (this.#pool.size > 0 || this.#unread.length > 0)) {
      throw new Error('Texts of nobody wait. This is a bug.')
    }
  }

  #accept(request: EngineRequest): void {
    if (this.#isDraining) {
      throw new Refusal('draining', 'The engine is shutting down and takes no new requests.')
    }
    if (!('task' in request)) throw this.#refuseTask('generate')
    if (this.#asked.has(request.id)) {
      const message = `A request with the id '${request.id}' is running; ids have to be unique.`
      throw new Refusal('invalid_request', message)
    }
    if (this.#asked.size >= this.#maxWaiting) {
      const message = `${this.#asked.size} requests are waiting already, which is as many as may.`
      throw new Refusal('overloaded', message)
    }
    this.#refuseOthers(request)
    const asked = new Asked(request, this.#output, this.#text, this.#now())
    this.#asked.set(request.id, asked)
    this.#unread.push(asked)
    // Nothing to compute: no batch will ever finish it.
    if (asked.isDone) this.#finish(asked)
  }

  #refuseOthers(request: EncodeRequest): void {
    const { kind } = this.#output
    const task = kind === 'token-classify' ? 'classify' : kind
    if (request.task !== task) throw this.#refuseTask(request.task)
    if (request.task !== 'embed' || this.#output.kind !== 'embed') return
    const { dimensions } = request
    if (dimensions !== undefined && dimensions > this.#output.dimensions) {
      const message = `This version's vectors have ${this.#output.dimensions} numbers; ${dimensions} were asked for.`
      throw new Refusal('invalid_request', message)
    }
  }

  #refuseTask(task: string): Refusal {
    const { kind } = this.#output
    const message = `This version is of the kind '${kind}', and was asked to ${task}.`
    return new Refusal('wrong_kind', message)
  }

  /** Tokenises a text of each in turn, until there is enough to choose from. */
  #read(): void {
    while (this.#unread.length > 0 && this.#pool.tokens < READY_BATCHES * this.#batchTokens) {
      const asked = this.#unread.shift()!
      try {
        const next = asked.read()
        if (next !== null) {
          const length = next.text.ids.length
          this.#pool.add({
            ...next.text,
            owner: asked,
            index: next.index,
            length,
            nth: this.#nth++,
          })
          this.#unread.push(asked)
        }
      } catch (error) {
        this.#fail(asked, error)
      }
    }
  }

  /** One text that can't be read or computed is the request's failure: there is no half of an answer. */
  #fail(asked: Asked, error: unknown): void {
    this.#drop(asked)
    this.#refuse(asked.id, error)
  }

  #finish(asked: Asked): void {
    this.#drop(asked)
    this.#events.push([asked.id, asked.encoded(this.#now())])
  }

  #drop(asked: Asked): void {
    this.#asked.delete(asked.id)
    this.#pool.remove(asked)
    this.#unread = this.#unread.filter((other) => other !== asked)
  }

  #refuse(id: string, error: unknown): void {
    const failure =
      error instanceof Refusal
        ? error.failure
        : { code: 'internal' as const, message: `The request could not be read: ${String(error)}` }
    this.#events.push([id, { type: 'error', error: failure }])
  }
}
