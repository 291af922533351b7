// The record that follows one request from its first byte to its last and closes exactly once.

export type Outcome = 'completed' | 'cancelled' | 'failed' | 'refused'

/** One row of the log. Times in milliseconds, null where the exchange never got that far. */
export interface ExchangeRecord {
  /** UUIDv7, also the `x-request-id` header */
  id: string
  startedAt: Date
  closedAt: Date
  callerId: string | null
  callerName: string | null
  method: string
  route: string
  /** as the client wrote it */
  requestedModel: string | null
  model: string | null
  /** full id, `model@version` */
  version: string | null
  streamed: boolean
  /** the prompt as the client sent it: messages or text */
  prompt: unknown
  /** one text for each choice, as far as it was produced */
  answer: string[] | null
  /** everything else of the request body */
  parameters: Record<string, unknown> | null
  finishReasons: string[] | null
  promptTokens: number | null
  cachedTokens: number | null
  completionTokens: number | null
  queueMs: number | null
  prefillMs: number | null
  decodeMs: number | null
  timeToFirstTokenMs: number | null
  totalMs: number
  outcome: Outcome
  /** HTTP status as sent; 499 where the client left before there was one */
  status: number
  errorCode: string | null
  errorMessage: string | null
}
