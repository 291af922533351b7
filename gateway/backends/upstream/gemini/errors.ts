// Google's errors: a body with a status in words, and details of which two are of use.
//
// Format: https://ai.google.dev/gemini-api/docs/troubleshooting and google.rpc.Status

import { countOf, fieldsOf, listOf, objectOf, parseJson, stringOf } from '../wire-fields.ts'
import type { Refusal } from '../fault.ts'

interface SaidError {
  /** what it amounts to, whatever the status line said */
  status: number
  said: Refusal | null
  /** null where it says nothing about when to come back */
  retryAfterMs: number | null
}

/** @param status of the answer; that of an error in a stream is in its body */
export function readError(text: string, status: number): SaidError {
  const body = parseJson(text)
  // Without `alt=sse` a stream is an array, and so is its error; some proxies drop the query.
  const error = objectOf(fieldsOf(Array.isArray(body) ? body[0] : body)['error'])
  if (!error) return { status, said: null, retryAfterMs: null }
  const message = stringOf(error['message'])
  const details = listOf(error['details'])
  const actual = status === 200 ? (countOf(error['code']) ?? 500) : status
  return {
    status: isAboutAccount(error, details) ? 401 : actual,
    said: message === '' ? null : { message, code: codeOf(message), param: null },
    retryAfterMs: readDelay(details),
  }
}

/** A key that isn't good, or is used from where it may not be, is told with the status of a bad request. */
function isAboutAccount(error: Fields, details: Fields[]): boolean {
  return (
    details.some(({ reason }) => stringOf(reason).startsWith('API_KEY_')) ||
    stringOf(error['status']) === 'FAILED_PRECONDITION'
  )
}

type Fields = Record<string, unknown>

function codeOf(message: string): string | null {
  return /token count .*exceeds the maximum/i.test(message) ? 'context_length_exceeded' : null
}

/** google.rpc.RetryInfo: `{"retryDelay": "34.5s"}` */
function readDelay(details: Fields[]): number | null {
  for (const { retryDelay } of details) {
    const seconds = /^(\d+(?:\.\d+)?)s$/.exec(stringOf(retryDelay))?.[1]
    if (seconds !== undefined) return Math.ceil(Number(seconds) * 1000)
  }
  return null
}
