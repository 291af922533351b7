// An upstream's refusal, from its answer's status and body to what the client is told and the operator reads.
//
// Knows: refusals. Does not know: how a dialect writes them; its backend reads the body.

import { statusFault, tellRefusal } from './fault.ts'
import type { Refusal } from './fault.ts'
import type { UpstreamHttp } from './http.ts'
import type { GatewayError } from '../../errors.ts'

export interface Refused {
  status: number
  /** null where the body said nothing that can be read */
  said: Refusal | null
  /** the body as it came */
  text: string
  retryAfterMs: number | null
  promptParam: string
}

export function refusedBy(http: UpstreamHttp, refused: Refused): GatewayError {
  const { status, said, text, retryAfterMs, promptParam } = refused
  const fault = statusFault(http.origin, status, http.redact(said?.message ?? text), retryAfterMs)
  const told = said && { ...said, message: http.redact(said.message) }
  return tellRefusal(fault, told, promptParam)
}
