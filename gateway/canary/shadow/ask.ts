// A shadow's answer to a question, put together, with what it took.
//
// The backend is asked directly: what becomes of it opens no breaker and moves no average that live traffic is led by.
//
// Knows: backends' events. Does not know: who asked first, what becomes of the answer.

import { randomUUIDv7 } from 'node:crypto'

import { addToChoice, emptyChoice } from '../../dialects/whole-choice.ts'
import { GatewayError, internalError } from '../../errors.ts'
import { costOf } from '../../limits/price.ts'
import type { Question } from '../../backends/backend.ts'
import type { Target } from '../../routing/route.ts'

export interface ShadowAnswer {
  outcome: 'completed' | 'failed'
  /** code of errors.ts; null where it completed */
  errorCode: string | null
  /** one for each choice, calls of tools as text behind it */
  texts: string[]
  finishReasons: string[]
  /** milliseconds; null where nothing came */
  timeToFirstTokenMs: number | null
  totalMs: number
  promptTokens: number | null
  completionTokens: number | null
  /** US dollars; null where the target has no price */
  costUsd: number | null
}

export async function askShadow(
  target: Target,
  question: Question,
  signal: AbortSignal,
): Promise<ShadowAnswer> {
  const startedMs = performance.now()
  const count =
    question.kind === 'chat' ? question.choices : question.choices * question.prompts.length
  const choices = Array.from({ length: count }, emptyChoice)
  const answer: ShadowAnswer = {
    outcome: 'failed',
    errorCode: null,
    texts: [],
    finishReasons: [],
    timeToFirstTokenMs: null,
    totalMs: 0,
    promptTokens: null,
    completionTokens: null,
    costUsd: null,
  }
  try {
    // Engines and upstreams know a request by its id, and the live one may be there still.
    const asked = { ...question, id: randomUUIDv7() }
    for await (const event of target.backend.answer(asked, { version: target.asks, signal })) {
      if (event.type === 'started') continue
      answer.timeToFirstTokenMs ??= performance.now() - startedMs
      if (event.type === 'done') {
        answer.outcome = 'completed'
        answer.promptTokens = event.usage.promptTokens
        answer.completionTokens = event.usage.completionTokens
        const seconds = (performance.now() - startedMs) / 1000
        if (target.price) answer.costUsd = costOf({ ...event.usage, seconds }, target.price)
        break
      }
      const choice = choices[event.choice]
      if (choice) addToChoice(event, choice)
    }
    if (answer.outcome === 'failed') answer.errorCode = 'upstream_malformed'
  } catch (error) {
    // Out of time is the only thing that ends it from outside and is its own fault.
    if (signal.aborted) answer.errorCode = 'upstream_timeout'
    else answer.errorCode = (error instanceof GatewayError ? error : internalError(error)).code
  }
  answer.totalMs = performance.now() - startedMs
  answer.texts = choices.map(({ text, refusal, toolCalls }) =>
    textOf(text + (refusal ?? ''), toolCalls),
  )
  answer.finishReasons = choices.map(({ finishReason }) => finishReason)
  return answer
}

/** An answer as one text, for it to be compared with another. */
export function textOf(
  text: string,
  calls: readonly { name: string; arguments: string }[],
): string {
  const lines = calls.map(({ name, arguments: given }) => `${name}(${given})`)
  return [text, ...lines].filter((line) => line !== '').join('\n')
}
