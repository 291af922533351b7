// A question's way past the response cache, in HTTP's terms: the header says hit or miss, the exchange remembers which.

import type { FastifyReply, FastifyRequest } from 'fastify'

import type { Question } from '../backends/backend.ts'
import type { Looked, ResponseCache } from '../cache/response-cache.ts'
import type { Route } from '../routing/route.ts'

export async function lookUp(
  { headers, caller, exchange }: FastifyRequest,
  reply: FastifyReply,
  { route, question }: { route: Route; question: Question },
  cache: Pick<ResponseCache, 'lookup'>,
): Promise<Looked> {
  if (!exchange || !caller) throw new Error('A route that answers knows no caller. This is a bug.')
  const wish = headers['x-headrace-cache']
  const looked = await cache.lookup(question, { caller, route, wish })
  if (looked.state) reply.header('x-headrace-cache', looked.state)
  if (looked.hit) exchange.asking(route.model, looked.hit.target)
  if (looked.state === 'hit' || looked.state === 'miss') exchange.cached(looked.state)
  return looked
}
