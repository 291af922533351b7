// Asks a route's targets until one answers.

import type { Question } from '../backends/backend.ts'
import type { Attempt, Route, RoutedEvent, Target } from './route.ts'

export interface RouterOptions {
  signal: AbortSignal
  /** requests of one key stay on one target; null: wherever there is room */
  stickyKey: string | null
  /** a target is about to be asked */
  onAsk: (target: Target) => void
  /** it failed, or its first delta came */
  onAttempt: (attempt: Attempt) => void
}

export class Router {
  async *answer(
    route: Route,
    question: Question,
    { signal, onAsk, onAttempt }: RouterOptions,
  ): AsyncGenerator<RoutedEvent> {
    const [target] = route.targets
    if (!target) throw new Error(`The route of '${route.model}' has no target. This is a bug.`)
    const startedMs = performance.now()
    onAsk(target)
    let isRouted = false
    for await (const event of target.backend.answer(question, { version: target.asks, signal })) {
      if (!isRouted && event.type !== 'started') {
        isRouted = true
        const { version, upstream } = target
        onAttempt({
          version,
          upstream,
          ms: performance.now() - startedMs,
          error: null,
          detail: null,
        })
        yield { type: 'routed', target }
      }
      yield event
    }
  }
}
