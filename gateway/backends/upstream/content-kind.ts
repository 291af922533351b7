// What an answer is, and not what was asked for: a server that streams to everybody, or to nobody, is understood too.

import type { UpstreamResponse } from './http-response.ts'

/** @throws UpstreamFault for a page of a proxy's, which would be neither */
export async function isEventStream(response: UpstreamResponse, isAsked: boolean) {
  const type = response.headers['content-type'] ?? ''
  if (type.startsWith('text/event-stream')) return true
  if (type.startsWith('application/json')) return false
  if (type.startsWith('text/html')) {
    throw response.malformed('answered with a page', await response.text())
  }
  return isAsked
}
