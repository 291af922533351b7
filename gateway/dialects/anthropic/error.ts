// Anthropic's error body, and the event that ends a stream that broke.
//
// Format: https://platform.claude.com/docs/en/api/errors

import { Type } from 'typebox'

import type { GatewayError } from '../../errors.ts'

export const AnthropicErrorBody = Type.Object(
  {
    type: Type.Literal('error'),
    error: Type.Object({ type: Type.String(), message: Type.String() }),
    request_id: Type.String(),
  },
  { description: "What went wrong, in Anthropic's words." },
)

/** @param requestId the exchange's */
export function anthropicErrorBody(error: GatewayError, requestId: string): string {
  return JSON.stringify({
    type: 'error',
    error: { type: typeOf(error), message: error.message },
    request_id: requestId,
  })
}

export function anthropicErrorFrame(error: GatewayError, requestId: string): string {
  return `event: error\ndata: ${anthropicErrorBody(error, requestId)}\n\n`
}

function typeOf({ code, kind }: GatewayError): string {
  if (code === 'overloaded' || code === 'draining' || code === 'upstream_overloaded') {
    return 'overloaded_error'
  }
  switch (kind.status) {
    case 401:
      return 'authentication_error'
    case 402:
      return 'billing_error'
    case 403:
      return 'permission_error'
    case 404:
      return 'not_found_error'
    case 413:
      return 'request_too_large'
    case 429:
      return 'rate_limit_error'
    case 504:
      return 'timeout_error'
    default:
      return kind.status < 500 ? 'invalid_request_error' : 'api_error'
  }
}
