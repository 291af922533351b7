// The loop: schedule → run → commit, for all requests of one version at once.
//
// Requests come in and are cancelled between steps; what a step produced is collected and taken away in one piece. A request
// that can't be served is told so and hurts nobody else. A forward pass that fails is thrown: it is the version's failure,
// and the process should not outlive it.
//
// Knows: everybody else in this folder. Does not know: processes, files, what time it is (it is told).

import type { SamplingDefaults } from '../../models/manifest.ts'
import type { FinishReason, GenerateEvent, GenerateRequest } from '../protocol.ts'
import type { EngineOwnStats, EngineRequest } from './messages.ts'
import { EngineAdapters } from './adapters.ts'
import type { LoadedAdapter } from './adapters.ts'
import { Refusal } from './refusal.ts'
import type { Runner } from './runner.ts'
import { Sampler } from './sampling/sampler.ts'
import { Sampling } from './sampling/sampling.ts'
import { Scheduler } from './scheduler.ts'
import type { Batch, Piece } from './scheduler.ts'
import { Sequence } from './sequence.ts'
import type { Answer } from './text/answer.ts'
import type { Text } from './text/text.ts'
import { tokenLimit } from './token-limit.ts'

export interface EngineOptions {
  /** its own full id; absent: it answers for whatever it is asked */
  version?: string
  runner: Runner
  text: Text
  /** what the version asks for where a request says nothing */
  sampling: SamplingDefaults
  /** prompt tokens of one step */
  prefillChunk: number
  /** requests that may wait for a slot */
  maxWaiting: number
  /** milliseconds, monotonic */
  now: () => number
}

/** A request that was accepted, until its last event. */
interface Running {
  sequence: Sequence
  answer: Answer
  /** the prompt, to be given back first; empty where that was not asked for */
  echo: string
  ignoresEnd: boolean
}

export class Engine {
  /** versions of its base that it takes in beside it */
  readonly adapters: EngineAdapters
  readonly #version: string | undefined
  readonly #runner: Runner
  readonly #text: Text
  readonly #defaults: SamplingDefaults
  readonly #prefillChunk: number
  readonly #now: () => number
  readonly #scheduler: Scheduler
  readonly #sampler: Sampler
  readonly #running = new Map<string, Running>()
  #events: [id: string, event: GenerateEvent][] = []
  #isDraining = false
  #steps = 0
  #stepSequences = 0
  #prefillTokens = 0
  #decodeTokens = 0
  #cachedTokens = 0
  #prefillMs = 0
  #decodeMs = 0

  constructor(options: EngineOptions) {
    const { runner } = options
    this.#version = options.version
    this.#runner = runner
    this.adapters = new EngineAdapters(runner)
    this.#text = options.text
    this.#defaults = options.sampling
    this.#prefillChunk = options.prefillChunk
    this.#now = options.now
    this.#scheduler = new Scheduler(runner, options)
    this.#sampler = new Sampler(runner.vocabSize, runner.candidates)
  }

  /** nothing to do until a request comes */
  get isIdle(): boolean {
    return this.#scheduler.isIdle
  }

  /** Takes a request; what becomes of it is told by events, a refusal too. */
  submit(request: EngineRequest): void {
    const receivedMs = this.#now()
    try {
      if ('task' in request) throw refuseTask(request.task)
      this.#accept(request, receivedMs)
    } catch (error) {
      const failure =
        error instanceof Refusal
          ? error.failure
          : {
              code: 'internal' as const,
              message: `The request could not be read: ${String(error)}`,
            }
      this.#emit(request.id, { type: 'error', error: failure })
    }
  }

  /** Frees what a request holds, now; no event follows. */
  cancel(id: string): void {
    const running = this.#running.get(id)
    if (!running) return
    this.#forget(running.sequence)
    this.#events = this.#events.filter(([owner]) => owner !== id)
  }

  /** Refuses what comes from now on; what was accepted is served. */
  drain(): void {
    this.#isDraining = true
  }

  step(): void {
    this.#steps++
    let budget = this.#prefillChunk
    let piece = this.#scheduler.nextPiece(budget)
    while (piece) {
      this.#stepSequences++
      this.#runPiece(piece)
      this.#commitPiece(piece)
      budget -= piece.tokens.length
      piece = this.#scheduler.nextPiece(budget)
    }
    const batch = this.#scheduler.nextBatch()
    if (!batch) return
    this.#stepSequences += batch.tokens.length
    this.#runBatch(batch)
    this.#commitBatch(batch)
  }

  /** What happened since the last call, in order. */
  takeEvents(): [id: string, event: GenerateEvent][] {
    const events = this.#events
    if (events.length > 0) this.#events = []
    return events
  }

  stats(): EngineOwnStats {
    const { slots, capacity } = this.#runner
    return {
      running: this.#scheduler.running,
      waiting: this.#scheduler.waiting,
      slots,
      contextTokens: capacity,
      kvTokensUsed: this.#scheduler.heldTokens,
      kvTokensCapacity: slots * capacity,
      memoryBytes: process.memoryUsage.rss(),
      steps: this.#steps,
      stepSequences: this.#stepSequences,
      prefillTokens: this.#prefillTokens,
      decodeTokens: this.#decodeTokens,
      cachedTokens: this.#cachedTokens,
      prefillSeconds: this.#prefillMs / 1000,
      decodeSeconds: this.#decodeMs / 1000,
    }
  }

  /** @throws where an invariant is broken */
  check(): void {
    this.#scheduler.check()
    const known = this.#scheduler.running + this.#scheduler.waiting
    if (known !== this.#running.size) {
      const message = `${known} sequences are scheduled for ${this.#running.size} requests.`
      throw new Error(`${message} This is a bug.`)
    }
  }

  #accept(request: GenerateRequest, receivedMs: number): void {
    const { id, stop } = request
    if (this.#isDraining) {
      throw new Refusal('draining', 'The engine is shutting down and takes no new requests.')
    }
    if (this.#running.has(id)) {
      const message = `A request with the id '${id}' is running; ids have to be unique.`
      throw new Refusal('invalid_request', message)
    }
    const adapter = this.#adapterFor(request.version)
    const prompt = this.#text.encode(request.prompt)
    const echo = request.echo ? this.#text.echo(request.prompt) : ''
    const limit = tokenLimit(prompt.length, request.maxTokens, this.#runner.capacity)
    const { vocabSize } = this.#runner
    const sampling = new Sampling(request.sampling, this.#defaults, prompt, vocabSize)
    const sequence = new Sequence({ id, prompt, limit, sampling, adapter, receivedMs })
    if (!this.#scheduler.add(sequence)) {
      const { running, waiting } = this.#scheduler
      const message = `${running} requests are running and ${waiting} wait already; try again later.`
      throw new Refusal('overloaded', message)
    }
    if (adapter) this.adapters.use(adapter)
    const answer = this.#text.answer({
      stop,
      isContinuation: request.prompt.kind !== 'chat',
      hasLogprobs: sampling.logprobs !== null,
    })
    this.#running.set(id, { sequence, answer, echo, ignoresEnd: request.ignoreEnd === true })
  }

  /** @returns null for the base itself */
  #adapterFor(version: string): LoadedAdapter | null {
    const adapter = this.adapters.find(version)
    if (adapter || this.#version === undefined || version === this.#version) return adapter
    throw new Refusal(
      'version_not_loaded',
      `Version '${version}' is no adapter that the engine of '${this.#version}' has loaded.`,
    )
  }

  #runPiece({ sequence, slot, tokens, past, isFirst, isLast }: Piece): void {
    if (isFirst) this.#start(sequence)
    const startMs = this.#now()
    const { sampling } = sequence
    const output = this.#sampler.mayNeedLogits(sampling) ? 'logits' : 'candidates'
    const place = sequence.adapter?.place ?? 0
    this.#runner.prefill(slot, tokens, past, isLast ? output : 'none', place)
    this.#prefillMs += this.#now() - startMs
    this.#prefillTokens += tokens.length
  }

  #commitPiece({ sequence, tokens, isLast }: Piece): void {
    sequence.computed += tokens.length
    if (!isLast) return
    const reason = this.#commitRow(sequence, 0)
    if (reason) this.#finish(sequence, reason)
    else this.#scheduler.join(sequence)
  }

  #runBatch({ tokens, lengths, adapters }: Batch): void {
    let mayNeedLogits = false
    for (let row = 0; row < tokens.length && !mayNeedLogits; row++) {
      mayNeedLogits = this.#sampler.mayNeedLogits(this.#scheduler.liveAt(row).sampling)
    }
    const startMs = this.#now()
    this.#runner.decode(tokens, lengths, mayNeedLogits ? 'logits' : 'candidates', adapters)
    this.#decodeMs += this.#now() - startMs
    this.#decodeTokens += tokens.length
  }

  #commitBatch({ tokens }: Batch): void {
    // From the last to the first: where several end, none is moved into the place of one that ends too.
    for (let row = tokens.length - 1; row >= 0; row--) {
      const sequence = this.#scheduler.liveAt(row)
      sequence.computed++
      const reason = this.#commitRow(sequence, row)
      if (reason) this.#finish(sequence, reason)
    }
  }

  /** Chooses the token of a row and gives it to its sequence; @returns why that ends, null where it goes on */
  #commitRow(sequence: Sequence, row: number): FinishReason | null {
    const { answer, ignoresEnd } = this.#find(sequence)
    const { sampling } = sequence
    const token = this.#sampler.choose(sampling, this.#runner, row)
    sequence.push(token, this.#now())
    if (!ignoresEnd && this.#text.endTokenIds.has(token)) return 'stop'
    const { logprobs } = sampling
    const report =
      logprobs === null ? null : this.#sampler.report(token, this.#runner, row, logprobs)
    const delta = answer.push(token, report)
    if (delta) this.#emit(sequence.id, delta)
    if (answer.isStopped) return 'stop'
    return sequence.isAtLimit ? 'length' : null
  }

  #start(sequence: Sequence): void {
    const { promptTokens, cached: cachedTokens } = sequence
    const queueMs = sequence.start(this.#now())
    this.#cachedTokens += cachedTokens
    this.#emit(sequence.id, { type: 'started', promptTokens, cachedTokens, queueMs })
    const { echo } = this.#find(sequence)
    if (echo !== '') this.#emit(sequence.id, { type: 'delta', text: echo, tokens: 0 })
  }

  #finish(sequence: Sequence, finishReason: FinishReason): void {
    const { answer } = this.#find(sequence)
    const rest = answer.end()
    if (rest) this.#emit(sequence.id, rest)
    const timings = sequence.timings(this.#now())
    this.#emit(sequence.id, { type: 'done', finishReason, usage: sequence.usage, timings })
    this.#forget(sequence)
  }

  #forget(sequence: Sequence): void {
    this.#running.delete(sequence.id)
    this.#scheduler.remove(sequence)
    if (sequence.adapter) this.adapters.release(sequence.adapter)
  }

  #find({ id }: Sequence): Running {
    const running = this.#running.get(id)
    if (!running) throw new Error(`Nobody asked for the sequence ${id}. This is a bug.`)
    return running
  }

  #emit(id: string, event: GenerateEvent): void {
    this.#events.push([id, event])
  }
}

function refuseTask(task: string): Refusal {
  const message = `This version is of the kind 'generate', and was asked to ${task}.`
  return new Refusal('wrong_kind', message)
}
