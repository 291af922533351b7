// A request's way through its caller's limits, in HTTP's terms: refused with 429, or its headers say what is left and its
// exchange settles what it used.

import type { FastifyReply, FastifyRequest } from 'fastify'

import type { Need } from '../limits/claim.ts'
import type { Limits } from '../limits/limits.ts'

/** @throws GatewayError `rate_limit_exceeded` or `insufficient_quota` */
export async function reserve(
  request: FastifyRequest,
  reply: FastifyReply,
  limits: Pick<Limits, 'admit'>,
  need: Need,
): Promise<void> {
  const { caller, exchange } = request
  if (!caller || !exchange) throw new Error('A limited route knows no caller. This is a bug.')
  const reservation = await limits.admit(caller, need, exchange.startedMs)
  exchange.reserved(reservation)
  reply.headers(reservation.headers)
}
