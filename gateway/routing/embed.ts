// Embeddings over a route: its targets, then its fallbacks, one after the other until one answers.
//
// There is no first token to wait for and nothing is half told, so an attempt is a call. A target that can't make
// embeddings is passed over.
//
// Knows: routes, faults. Does not know: load, health, HTTP.

import { faultOf } from '../backends/upstream/fault.ts'
import { GatewayError, internalError } from '../errors.ts'
import type { EmbeddingQuestion, Embeddings } from '../backends/backend.ts'
import type { Attempt, Route, Target } from './route.ts'

export interface EmbedOptions {
  signal: AbortSignal
  /** a target is about to be asked */
  onAsk: (target: Target) => void
  /** it failed, or answered */
  onAttempt: (attempt: Attempt) => void
}

/** @throws GatewayError of the last target that was asked, or the signal's reason */
export async function embedOver(
  route: Route,
  question: EmbeddingQuestion,
  { signal, onAsk, onAttempt }: EmbedOptions,
): Promise<{ target: Target; embeddings: Embeddings }> {
  const able = [...route.targets.filter(({ weight }) => weight > 0), ...route.fallbacks].filter(
    ({ backend }) => backend.embed,
  )
  let last: GatewayError | null = null
  for (const target of able.slice(0, route.retries + 1)) {
    const { version, upstream, asks, backend, timeouts } = target
    onAsk(target)
    const startedMs = performance.now()
    const attempted = (error: GatewayError | null) => {
      const ms = performance.now() - startedMs
      onAttempt({
        version,
        upstream,
        ms,
        error: error?.code ?? null,
        detail: error?.detail ?? null,
      })
    }
    try {
      const embeddings = await embedInTime(backend, question, asks, signal, timeouts.totalMs)
      attempted(null)
      return { target, embeddings }
    } catch (error) {
      if (signal.aborted) throw signal.reason
      last = error instanceof GatewayError ? error : internalError(error)
      attempted(last)
      if (!faultOf(last).isRetryable) throw last
    }
  }
  throw last ?? cantEmbed(route.model)
}

async function embedInTime(
  backend: Target['backend'],
  question: EmbeddingQuestion,
  version: string,
  signal: AbortSignal,
  totalMs: number | undefined,
): Promise<Embeddings> {
  if (!backend.embed) throw new Error('A target that makes no embeddings was asked. This is a bug.')
  if (totalMs === undefined) return backend.embed(question, { version, signal })
  const patience = AbortSignal.timeout(totalMs)
  try {
    const either = AbortSignal.any([signal, patience])
    return await backend.embed(question, { version, signal: either })
  } catch (error) {
    if (signal.aborted || !patience.aborted) throw error
    throw new GatewayError(
      'upstream_timeout',
      'The upstream that answers for this model did not answer in time.',
      { cause: new Error(`no embeddings within ${totalMs} ms`) },
    )
  }
}

function cantEmbed(model: string): GatewayError {
  return new GatewayError('invalid_value', `The model '${model}' does not make embeddings.`, {
    param: 'model',
  })
}
