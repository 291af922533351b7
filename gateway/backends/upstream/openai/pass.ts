// Requests that go to an upstream as they came, and answers that come back so: images, audio, files and the like.
//
// Nothing of the client's own goes along but what is named here: its key, its cookies and its host are no business of
// the upstream's, as the upstream's are none of the client's. What the upstream says about itself (its key, its health)
// is an error of ours; what it says about the request is handed on with its status.
//
// Knows: headers, statuses. Does not know: which paths there are, Fastify.

import { asThrown } from '../fault.ts'
import { refusalOf } from './refusal.ts'
import type { PassedAnswer, PassedRequest } from '../../backend.ts'
import type { UpstreamHttp } from '../http.ts'
import type { Address } from './address.ts'

/** of the client's */
const REQUEST_HEADERS = [
  'accept',
  'accept-encoding',
  'content-type',
  'content-length',
  'idempotency-key',
  'openai-beta',
  'range',
  // of whoever follows the request
  'traceparent',
  'tracestate',
]
/** of the upstream's; its limits and its account are not the client's */
const ANSWER_HEADERS = [
  'accept-ranges',
  'content-disposition',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'etag',
  'last-modified',
]
/** What these say is about the request, in the dialect that the client speaks. */
const ABOUT_THE_REQUEST = new Set([400, 404, 409, 410, 413, 415, 416, 422])
/** JSON can be read before it goes on, so that no secret is quoted in it; longer ones are cut. */
const MAX_REFUSAL_BYTES = 64 * 1024

/** @throws GatewayError, or the signal's reason; also the answer's body does */
export async function pass(
  http: UpstreamHttp,
  address: Address,
  request: PassedRequest,
  model: string | null,
  signal: AbortSignal,
): Promise<PassedAnswer> {
  const { method, path, query, body } = request
  try {
    const headers = only(request.headers, REQUEST_HEADERS)
    // A model's name may have been replaced: the length is the HTTP client's to say, except for what it can't see.
    if (body === null || Buffer.isBuffer(body)) delete headers['content-length']
    const response = await http.request(
      method,
      withQuery(address.pathOf(path, model), query),
      body,
      {
        signal,
        headers,
      },
    )
    const { status } = response
    if (status < 300) {
      const answered = only(response.headers, ANSWER_HEADERS)
      return { status, headers: answered, body: translated(response.raw(), signal), refusal: null }
    }
    if (!ABOUT_THE_REQUEST.has(status)) throw await refusalOf(response, http, '')
    const text = http.redact(await response.text(MAX_REFUSAL_BYTES))
    return {
      status,
      headers: { 'content-type': response.headers['content-type'] ?? 'application/json' },
      body: textBody(text),
      refusal: text,
    }
  } catch (error) {
    throw asThrown(error, signal)
  }
}

async function* translated(body: AsyncIterable<Buffer>, signal: AbortSignal) {
  try {
    yield* body
  } catch (error) {
    throw asThrown(error, signal)
  }
}

// oxlint-disable-next-line typescript/require-await -- one shape for all bodies
async function* textBody(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text)
}

function withQuery(path: string, query: string): string {
  if (query === '') return path
  return path.includes('?') ? `${path}&${query}` : `${path}?${query}`
}

function only(headers: Record<string, string>, names: string[]): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const name of names) {
    const value = headers[name]
    if (value !== undefined) kept[name] = value
  }
  return kept
}
