// Traces of requests, for whoever follows one through several services: the contract.
//
// A request is a span; so is each target that was asked for it, and what an engine of ours did for it: waiting, prefill,
// decode. The client's trace is gone on with, and targets are told of it, as W3C Trace Context says. Switched off there is
// no object of this room, and no library is loaded.
//
// Knows: what there is to tell. Does not know: OpenTelemetry (opentelemetry.ts), where traces go.

import type { IncomingHttpHeaders } from 'node:http'

import type { ExchangeRecord } from '../exchange/exchange-record.ts'
import type { Attempt, Target } from '../routing/route.ts'

export interface Traces {
  begin(request: TracedRequest): RequestTrace
  /** What waits is sent, for a few seconds. */
  close(): Promise<void>
}

export interface TracedRequest {
  method: string
  /** the route's pattern */
  route: string
  headers: IncomingHttpHeaders
  /** milliseconds since 1970 */
  startedMs: number
}

export interface RequestTrace {
  /**
   * A target is about to be asked.
   * @param atMs milliseconds since 1970
   * @returns the headers that tell it of the trace
   */
  asking(model: string, target: Target, atMs: number): Record<string, string>
  /** It failed, or its first delta came. */
  attempted(attempt: Attempt): void
  closed(record: ExchangeRecord): void
}
