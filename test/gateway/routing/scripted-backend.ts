// Targets that answer and fail as a test says, and the question that they are asked.

import { setTimeout as sleep } from 'node:timers/promises'

import { GatewayError } from '../../../gateway/errors.ts'
import type { ErrorCode } from '../../../gateway/errors.ts'
import type { AnswerEvent, Backend, Question } from '../../../gateway/backends/backend.ts'
import type { Route, Target } from '../../../gateway/routing/route.ts'

/** A code: it fails so, before its first delta or after it. A number: it waits that many ms first. */
export type Step = 'answer' | ErrorCode | `cut:${ErrorCode}` | number

export const QUESTION: Question = {
  kind: 'chat',
  dialect: 'openai',
  id: 'q',
  isStreamed: true,
  messages: [{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }],
  promptParam: 'messages',
  choices: 1,
  sampling: {},
  stop: [],
  tools: [],
  extra: {},
}

const DELTA: AnswerEvent = { type: 'delta', choice: 0, text: 'Hello', tokens: 1 }
const ENDING: AnswerEvent[] = [
  { type: 'finished', choice: 0, finishReason: 'stop' },
  {
    type: 'done',
    usage: { promptTokens: 1, cachedTokens: 0, completionTokens: 1 },
    timings: null,
  },
]

export class ScriptedBackend implements Backend {
  readonly script: Step[]
  asked = 0

  /** @param script one step for each request (a number belongs to the step behind it); the last goes on for ever */
  constructor(script: Step[]) {
    this.script = script
  }

  async *answer(
    _question: Question,
    { signal }: { signal: AbortSignal },
  ): AsyncGenerator<AnswerEvent> {
    this.asked++
    signal.throwIfAborted()
    let step = this.#next()
    if (typeof step === 'number') {
      await sleep(step, undefined, { signal }).catch(() => signal.throwIfAborted())
      step = this.#next()
    }
    if (typeof step === 'string' && step !== 'answer' && !step.startsWith('cut:')) {
      throw new GatewayError(step as ErrorCode, `It failed: ${step}.`)
    }
    yield DELTA
    if (typeof step === 'string' && step.startsWith('cut:')) {
      throw new GatewayError(step.slice(4) as ErrorCode, 'It broke off.')
    }
    if (typeof step === 'number') {
      await sleep(step, undefined, { signal }).catch(() => signal.throwIfAborted())
    }
    yield* ENDING
  }

  #next(): Step {
    return this.script.length > 1 ? this.script.shift()! : (this.script[0] ?? 'answer')
  }
}

export function target(
  name: string,
  script: Step[],
  changes: Partial<Target> = {},
): Target & { backend: ScriptedBackend } {
  return {
    version: `${name}@1`,
    upstream: name,
    asks: name,
    weight: 1,
    price: null,
    timeouts: {},
    created: '2026-01-01T00:00:00.000Z',
    ...changes,
    backend: new ScriptedBackend(script),
  }
}

export function routeTo(targets: Target[], changes: Partial<Route> = {}): Route {
  return {
    model: 'guide',
    targets,
    fallbacks: [],
    balance: 'weighted',
    stickyHeader: null,
    retries: 0,
    cacheSeconds: null,
    ...changes,
  }
}
