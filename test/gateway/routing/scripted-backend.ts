// Targets that answer and fail as a test says, and the question that they are asked.

import { setTimeout as sleep } from 'node:timers/promises'

import { GatewayError } from '../../../gateway/errors.ts'
import { plainRoute, plainTarget } from '../../support/route.ts'
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
  const backend = new ScriptedBackend(script)
  const named = { version: `${name}@1`, upstream: name, asks: name }
  return { ...plainTarget(backend, named), ...changes, backend }
}

export function routeTo(targets: Target[], changes: Partial<Route> = {}): Route {
  return { ...plainRoute('guide', targets), ...changes }
}
