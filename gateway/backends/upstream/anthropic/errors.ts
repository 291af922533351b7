// Anthropic's errors: a body with a type and a message, behind a status or in the middle of a stream.
//
// Format: https://platform.claude.com/docs/en/api/errors

import { fieldsOf, objectOf, parseJson, stringOf } from '../wire-fields.ts'
import type { Refusal } from '../fault.ts'

/** the statuses that the API itself has for its types */
const STATUS = new Map(
  Object.entries({
    invalid_request_error: 400,
    authentication_error: 401,
    billing_error: 402,
    permission_error: 403,
    not_found_error: 404,
    request_too_large: 413,
    rate_limit_error: 429,
    api_error: 500,
    timeout_error: 504,
    overloaded_error: 529,
  }),
)

interface SaidError {
  /** what the error's type amounts to, whatever the status line said */
  status: number
  said: Refusal | null
}

/** @param status of the answer; 500 for an error in a stream, which has none of its own */
export function readError(text: string, status: number): SaidError {
  const error = objectOf(fieldsOf(parseJson(text))['error'])
  if (!error) return { status, said: null }
  const type = stringOf(error['type'])
  const message = stringOf(error['message'])
  const said = message === '' ? null : { message, code: null, param: null }
  // An account without money is told as if the request were at fault; it is this side's account.
  if (/credit balance is too low/i.test(message)) return { status: 402, said }
  return { status: status === 500 ? (STATUS.get(type) ?? status) : status, said }
}
