// The way of a request whose answer comes whole: route, kind, limits, targets, figures.
//
// Knows: the order of things. Does not know: wire shapes, what is asked.

import type { FastifyReply, FastifyRequest } from 'fastify'

import { mayAsk } from '../callers/caller.ts'
import { reserve } from './reserve.ts'
import { chosenFor } from '../routing/chosen-for.ts'
import { findRoute } from '../routing/find-route.ts'
import { requireKind } from '../routing/model-kind.ts'
import { stickyKeyOf } from './sticky-key.ts'
import { targetHeaders } from './target-headers.ts'
import type { Asking, Backend } from '../backends/backend.ts'
import type { Need } from '../limits/claim.ts'
import type { Limits } from '../limits/limits.ts'
import type { ModelKind, Route, Routes } from '../routing/route.ts'
import type { Router } from '../routing/router.ts'

export interface WholeDeps {
  routes: Routes
  router: Pick<Router, 'askWhole'>
  limits: Limits
}

export interface WholeAsked<Answer> {
  /** as the client wrote it */
  model: string
  /** kinds of models that can answer */
  kinds: ModelKind[]
  needOf: (route: Route) => Need
  /** @returns null where the backend can't */
  ask: (backend: Backend, asking: Asking) => Promise<Answer> | null
}

interface WholeAnswer {
  promptTokens: number
  isEstimated?: boolean
}

export async function answerWhole<Answer extends WholeAnswer>(
  request: FastifyRequest,
  reply: FastifyReply,
  { model, kinds, needOf, ask }: WholeAsked<Answer>,
  { routes, router, limits }: WholeDeps,
): Promise<Answer> {
  const { exchange, caller } = request
  if (!exchange || !caller) throw new Error('A route that answers knows no caller. This is a bug.')
  const found = await findRoute(routes, model, (name) => mayAsk(caller, name))
  requireKind(found, ...kinds)
  const stickyKey = stickyKeyOf(request, found)
  const route = chosenFor(found, stickyKey)
  await reserve(request, reply, limits, needOf(route))
  exchange.signal.throwIfAborted()
  const { answer, target } = await router.askWhole(route, ask, {
    signal: exchange.signal,
    stickyKey,
    onAsk: (asked) => exchange.asking(route.model, asked),
    onAttempt: (attempt) => exchange.attempted(attempt),
  })
  const { promptTokens, isEstimated } = answer
  exchange.settled({ promptTokens, cachedTokens: 0, completionTokens: 0, isEstimated }, null)
  reply.headers({
    ...targetHeaders(target, exchange.attempts.length),
    'x-headrace-overhead-ms': exchange.began().toFixed(1),
  })
  return answer
}
