// A backend whose answers a test writes itself, and a route that leads to it.

import type {
  AnswerEvent,
  Asking,
  Backend,
  Chat,
  Question,
} from '../../gateway/backends/backend.ts'
import type { Route, Routes } from '../../gateway/routing/route.ts'

export type AnswerScript = (
  question: Question,
  signal: AbortSignal,
  /** what it is asked for */
  version: string,
) => Iterable<AnswerEvent> | AsyncIterable<AnswerEvent>

export class ScriptedBackend implements Backend {
  readonly questions: Question[] = []
  script: AnswerScript = () => saying('Hello')

  async *answer(question: Question, { signal, version }: Asking): AsyncGenerator<AnswerEvent> {
    this.questions.push(question)
    yield* this.script(question, signal, version)
  }

  get lastChat(): Chat {
    const question = this.questions.at(-1)
    if (question?.kind !== 'chat') throw new Error('The backend was not asked for a chat.')
    return question
  }

  routes(): Routes {
    return routesTo(this)
  }
}

/** All names lead there. */
export function routesTo(backend: Backend): Routes {
  const find = (model: string): Promise<Route> =>
    Promise.resolve({
      model,
      targets: [
        {
          version: `${model}@far`,
          upstream: 'far',
          asks: model,
          backend,
          weight: 1,
          price: null,
          timeouts: {},
          created: '2026-01-01T00:00:00.000Z',
        },
      ],
      fallbacks: [],
      balance: 'weighted',
      stickyHeader: null,
      retries: 0,
      cacheSeconds: null,
    })
  return { find, list: () => Promise.resolve([]) }
}

export const DONE: AnswerEvent = {
  type: 'done',
  usage: { promptTokens: 7, cachedTokens: 2, completionTokens: 5, reasoningTokens: 3 },
  timings: null,
}

export function* saying(...texts: string[]): Generator<AnswerEvent> {
  for (const text of texts) yield { type: 'delta', choice: 0, text, tokens: 1 }
  yield { type: 'finished', choice: 0, finishReason: 'stop' }
  yield DONE
}

/** Thoughts with their proof, a sentence, and two calls whose arguments come interleaved. */
export function* thinkingAndCalling(): Generator<AnswerEvent> {
  yield { type: 'reasoning', choice: 0, text: 'Two cities: ' }
  yield { type: 'reasoning', choice: 0, text: 'two calls.' }
  yield { type: 'reasoning', choice: 0, text: '', signature: 'proof' }
  yield { type: 'delta', choice: 0, text: 'Let me look.', tokens: 3 }
  yield { type: 'toolCall', choice: 0, index: 0, id: 'call_a', name: 'weather' }
  yield { type: 'toolArguments', choice: 0, index: 0, text: '{"city":' }
  yield { type: 'toolCall', choice: 0, index: 1, id: 'call_b', name: 'weather' }
  yield { type: 'toolArguments', choice: 0, index: 1, text: '{"city":"Oslo"}' }
  yield { type: 'toolArguments', choice: 0, index: 0, text: '"Rome"}' }
  yield { type: 'finished', choice: 0, finishReason: 'tool_calls' }
  yield DONE
}
