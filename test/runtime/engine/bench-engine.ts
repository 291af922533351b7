// An engine over a fake runner, stepped by the test, with what came out of it sorted by request.

import { Engine } from '../../../runtime/engine/engine.ts'
import type { SamplingDefaults } from '../../../models/manifest.ts'
import type { GenerateEvent, GenerateRequest } from '../../../runtime/protocol.ts'
import type { Text } from '../../../runtime/engine/text/text.ts'
import { FakeRunner, hashingModel } from './fake-runner.ts'
import type { Model } from './fake-runner.ts'
import { byteLevelText } from './tiny-text.ts'

/** a few more than the tokenizer names: vocabularies are padded */
export const VOCABULARY = 280

export interface BenchOptions {
  model?: Model
  slots?: number
  capacity?: number
  prefillChunk?: number
  maxWaiting?: number
  text?: Text
  sampling?: SamplingDefaults
}

export type EventOf<Type extends GenerateEvent['type']> = Extract<GenerateEvent, { type: Type }>

export class EngineBench {
  readonly engine: Engine
  readonly runner: FakeRunner
  /** what the clock says; the test moves it */
  nowMs = 0
  readonly #events = new Map<string, GenerateEvent[]>()
  #requests = 0

  constructor(options: BenchOptions = {}) {
    this.runner = new FakeRunner({
      slots: options.slots,
      capacity: options.capacity,
      vocabSize: VOCABULARY,
      candidates: 16,
      model: options.model ?? hashingModel(VOCABULARY),
    })
    this.engine = new Engine({
      runner: this.runner,
      text: options.text ?? byteLevelText({ vocabSize: VOCABULARY }),
      sampling: options.sampling ?? {},
      prefillChunk: options.prefillChunk ?? 8,
      maxWaiting: options.maxWaiting ?? 64,
      now: () => this.nowMs,
    })
  }

  /** @returns the request's id */
  submit(request: Partial<GenerateRequest>): string {
    const id = `r${this.#requests++}`
    this.engine.submit({
      id,
      version: 'tiny@1',
      prompt: { kind: 'tokens', ids: [10, 11, 12] },
      sampling: {},
      stop: [],
      ...request,
    })
    this.#collect()
    return id
  }

  step(times = 1): void {
    for (let i = 0; i < times; i++) this.engine.step()
    this.#collect()
  }

  finish(): void {
    for (let steps = 0; !this.engine.isIdle; steps++) {
      if (steps > 10_000) throw new Error('the engine does not come to an end')
      this.step()
    }
  }

  events(id: string): GenerateEvent[] {
    return this.#events.get(id) ?? []
  }

  all<Type extends GenerateEvent['type']>(id: string, type: Type): EventOf<Type>[] {
    return this.events(id).filter((event): event is EventOf<Type> => event.type === type)
  }

  one<Type extends GenerateEvent['type']>(id: string, type: Type): EventOf<Type> {
    const [event] = this.all(id, type)
    if (!event) throw new Error(`${id} has no ${type}: ${JSON.stringify(this.events(id))}`)
    return event
  }

  answer(id: string): string {
    return this.all(id, 'delta')
      .map(({ text }) => text)
      .join('')
  }

  #collect(): void {
    for (const [id, event] of this.engine.takeEvents()) {
      const events = this.#events.get(id) ?? []
      events.push(event)
      this.#events.set(id, events)
    }
  }
}
