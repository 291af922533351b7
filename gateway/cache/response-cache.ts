// Answers that are given again to equal questions, where a model's route or a key asks for it.
//
// Only whole answers are kept, as the events of which they were made: a streamed one can be answered from one that was
// not, in any dialect. What comes from here costs nothing and passes no limits.
//
// Knows: questions, routes, events. Does not know: HTTP, Redis.

import { keyOfQuestion } from './question-key.ts'
import { Recording } from './recording.ts'
import type { AnswerStore } from './answer-store.ts'
import type { AnswerEvent, Question } from '../backends/backend.ts'
import type { Caller } from '../callers/caller.ts'
import type { Logger } from '../logger.ts'
import type { Route, RoutedEvent, Target } from '../routing/route.ts'

export interface ResponseCacheOptions {
  store: AnswerStore
  logger: Logger
}

export interface Asking {
  caller: Caller
  route: Route
  /** the request's header x-headrace-cache: `no-cache` asks anew and keeps the answer, `no-store` does neither */
  wish: string | string[] | undefined
}

export interface Looked {
  /** for the header x-headrace-cache; null where the cache is off */
  state: 'hit' | 'miss' | 'bypass' | null
  /** the whole answer and who gave it, at a hit */
  hit: { target: Target; events: AsyncIterable<RoutedEvent> } | null
  /** Passes an answer through and keeps it once it is whole; the very same iterable where nothing is to be kept. */
  record(events: AsyncIterable<RoutedEvent>): AsyncIterable<RoutedEvent>
}

interface Kept {
  version: string
  events: AnswerEvent[]
}

/** Longer answers are rare, and a few of them would push out everything else. */
const MAX_ANSWER_CHARACTERS = 256 * 1024

const asItIs = (events: AsyncIterable<RoutedEvent>) => events
const OFF: Looked = { state: null, hit: null, record: asItIs }

export class ResponseCache {
  readonly #options: ResponseCacheOptions
  #hits = 0
  #misses = 0

  constructor(options: ResponseCacheOptions) {
    this.#options = options
  }

  get hits(): number {
    return this.#hits
  }

  get misses(): number {
    return this.#misses
  }

  get bytes(): number {
    return this.#options.store.bytes
  }

  /** Never throws: what can't be looked up is asked. */
  async lookup(question: Question, { caller, route, wish }: Asking): Promise<Looked> {
    const seconds = caller.cacheSeconds ?? route.cacheSeconds ?? 0
    if (!(seconds > 0)) return OFF
    if (wish === 'no-store') return { ...OFF, state: 'bypass' }
    const targets = [...route.targets, ...route.fallbacks]
    try {
      const key = keyOfQuestion(question, { caller, targets })
      const hit = wish === 'no-cache' ? null : await this.#find(key, targets)
      if (hit) {
        this.#hits++
        const { target, kept } = hit
        return {
          state: 'hit',
          hit: { target, events: replay(target, kept.events) },
          record: asItIs,
        }
      }
      this.#misses++
      const record = (events: AsyncIterable<RoutedEvent>) => this.#record(events, key, seconds)
      return { state: wish === 'no-cache' ? 'bypass' : 'miss', hit: null, record }
    } catch (error) {
      this.#options.logger.warn({ err: error }, 'an answer could not be looked up in the cache')
      return OFF
    }
  }

  close(): void {
    this.#options.store.close()
  }

  async #find(key: string, targets: Target[]): Promise<{ target: Target; kept: Kept } | null> {
    const text = await this.#options.store.get(key)
    if (text === null) return null
    const kept = JSON.parse(text) as Kept
    const target = targets.find(({ version }) => version === kept.version)
    return target ? { target, kept } : null
  }

  async *#record(
    events: AsyncIterable<RoutedEvent>,
    key: string,
    seconds: number,
  ): AsyncGenerator<RoutedEvent> {
    const recording = new Recording(MAX_ANSWER_CHARACTERS)
    let version: string | null = null
    for await (const event of events) {
      if (event.type === 'routed') version = event.target.version
      else recording.add(event)
      // The last event, and only of a whole answer; whoever reads it need not ask for more.
      if (event.type === 'done') this.#keep(key, version, recording, seconds)
      yield event
    }
  }

  #keep(key: string, version: string | null, { events }: Recording, seconds: number): void {
    if (!events || version === null) return
    this.#options.store.set(key, JSON.stringify({ version, events }), seconds)
  }
}

async function* replay(target: Target, events: AnswerEvent[]): AsyncGenerator<RoutedEvent> {
  yield { type: 'routed', target }
  yield* events
}
