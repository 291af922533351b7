// What an OpenAI-compatible server says when it refuses, before its answer or in the middle of it.
//
// Shapes differ: OpenAI's `error` object, FastAPI's `detail`, a string, a page of a proxy. What can be read is quoted,
// free of secrets.

import { readRetryAfter, statusFault, tellRefusal } from '../fault.ts'
import type { GatewayError } from '../../../errors.ts'
import type { Refusal } from '../fault.ts'
import type { UpstreamHttp } from '../http.ts'
import type { UpstreamResponse } from '../http-response.ts'

/** @param response of a status other than 2xx; it is read and closed here */
export async function refusalOf(
  response: UpstreamResponse,
  http: Pick<UpstreamHttp, 'origin' | 'redact'>,
  promptParam: string,
): Promise<GatewayError> {
  const text = http.redact(await response.text())
  const said = readRefusal(parse(text))
  const fault = statusFault(
    http.origin,
    response.status,
    said?.message ?? text,
    readRetryAfter(response.headers),
  )
  return tellRefusal(fault, said, promptParam)
}

/** For an `error` that came with status 200, as a body or within a stream. */
export function refusalWithin(
  error: unknown,
  http: Pick<UpstreamHttp, 'origin' | 'redact'>,
  promptParam: string,
): GatewayError {
  const said = readRefusal({ error }) ?? { message: '', code: null, param: null }
  said.message = http.redact(said.message)
  const fault = statusFault(http.origin, statusWithin(error), said.message, null)
  return tellRefusal(fault, said, promptParam)
}

function readRefusal(body: unknown): Refusal | null {
  if (typeof body !== 'object' || body === null) return null
  const { error, detail, message } = body as Record<string, unknown>
  const said = error ?? detail ?? message
  if (typeof said === 'string') return { message: said, code: null, param: null }
  // FastAPI's list of what is wrong with the fields.
  if (Array.isArray(said)) return { message: JSON.stringify(said), code: null, param: null }
  if (typeof said !== 'object' || said === null) return null
  const { message: words, code, param, type } = said as Record<string, unknown>
  return {
    message: typeof words === 'string' ? words : JSON.stringify(said),
    code: string(code) ?? string(type),
    param: string(param),
  }
}

/** Servers put a status into `code`, or a word from which one follows. */
function statusWithin(error: unknown): number {
  const { code, type } = (typeof error === 'object' && error !== null ? error : {}) as Record<
    string,
    unknown
  >
  const status = Number(code)
  if (status >= 400 && status < 600) return status
  const words = `${string(code) ?? ''} ${string(type) ?? ''}`
  if (/rate_limit|quota/.test(words)) return 429
  if (/overloaded/.test(words)) return 503
  if (/invalid_request|BadRequest|context_length/.test(words)) return 400
  return 500
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

const string = (value: unknown) => (typeof value === 'string' ? value : null)
