// What is known of one request and its answer: the row of the log, before it is one.
//
// Knows: names and units. Does not know: who fills it in, where it is kept.

import type { ToolCall } from '../backends/conversation.ts'
import type { Attempt } from '../routing/route.ts'

type Outcome = 'completed' | 'cancelled' | 'failed' | 'refused'

/** One row of the log. Times in milliseconds, null where the exchange never got that far. */
export interface ExchangeRecord {
  /** UUIDv7, also the `x-request-id` header */
  id: string
  startedAt: Date
  closedAt: Date
  callerId: string | null
  callerName: string | null
  projectId: string | null
  /** whom the caller asked for */
  endUser: string | null
  session: string | null
  /** UUID: of its first exchange where responses are continued, else made of how the conversation began */
  conversationId: string | null
  /** id of the exchange that this one goes on from */
  previousId: string | null
  /** hex; of the conversation up to and with this answer, and of it up to and with the last answer in the request */
  digest: string | null
  previousDigest: string | null
  tags: string[] | null
  metadata: Record<string, string> | null
  method: string
  route: string
  /** as the client wrote it */
  requestedModel: string | null
  model: string | null
  /** what answered, or was asked last: `model@version` */
  version: string | null
  /** where that is: the name of an upstream, or `local` */
  upstream: string | null
  /** id of the deployment that led there; null where none did, as for declared models and pinned versions */
  deployment: number | null
  /** all that was asked, in order */
  attempts: Attempt[]
  streamed: boolean
  /** the prompt as the client sent it: messages or text */
  prompt: unknown
  /** one text for each choice, as far as it was produced */
  answer: string[] | null
  /** one list for each choice; null where there were none */
  toolCalls: ToolCall[][] | null
  /** everything else of the request body */
  parameters: Record<string, unknown> | null
  /** one for each choice; empty where it didn't come to an end */
  finishReasons: string[] | null
  /** the model said no in words of its own, where its target tells them from an answer */
  isDeclined: boolean
  promptTokens: number | null
  cachedTokens: number | null
  completionTokens: number | null
  /** the counts are ours, made from texts: nobody measured, or the answer was cut before anybody told */
  isUsageEstimated: boolean
  /** US dollars; null where the target has no price */
  costUsd: number | null
  /** whether the answer came from the cache; null where that wasn't asked */
  cache: 'hit' | 'miss' | null
  queueMs: number | null
  prefillMs: number | null
  decodeMs: number | null
  timeToFirstTokenMs: number | null
  /** between two tokens, on average; null where fewer than two came one by one */
  interTokenMs: number | null
  /** of the time to the first token, what was not spent waiting for targets */
  overheadMs: number | null
  totalMs: number
  outcome: Outcome
  /** HTTP status as sent; 499 where the client left before there was one */
  status: number
  errorCode: string | null
  errorMessage: string | null
  /** kept for its caller to read */
  isStored: boolean
}

type Beginning = Pick<ExchangeRecord, 'id' | 'startedAt' | 'method' | 'route'>

/** Of a request of which nothing is known yet. */
export function emptyRecord(beginning: Beginning): ExchangeRecord {
  return {
    ...beginning,
    closedAt: beginning.startedAt,
    callerId: null,
    callerName: null,
    projectId: null,
    endUser: null,
    session: null,
    conversationId: null,
    previousId: null,
    digest: null,
    previousDigest: null,
    tags: null,
    metadata: null,
    requestedModel: null,
    model: null,
    version: null,
    upstream: null,
    deployment: null,
    attempts: [],
    streamed: false,
    prompt: null,
    answer: null,
    toolCalls: null,
    parameters: null,
    finishReasons: null,
    isDeclined: false,
    promptTokens: null,
    cachedTokens: null,
    completionTokens: null,
    isUsageEstimated: false,
    costUsd: null,
    cache: null,
    queueMs: null,
    prefillMs: null,
    decodeMs: null,
    timeToFirstTokenMs: null,
    interTokenMs: null,
    overheadMs: null,
    totalMs: 0,
    outcome: 'completed',
    status: 0,
    errorCode: null,
    errorMessage: null,
    isStored: false,
  }
}
