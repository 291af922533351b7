// The record that follows one request from its first byte to its last and closes exactly once.
//
// Whoever learns something about the request tells its Exchange: the hooks who called, the routes what was asked, the
// answer what was produced. When the socket closes, for whatever reason, the record is taken out, once.
//
// Knows: its own clock and what it was told. Does not know: HTTP, SQL, metrics.

import type { GatewayError } from './errors.ts'
import type { FinishReason, Timings, Usage } from '../runtime/protocol.ts'

type Outcome = 'completed' | 'cancelled' | 'failed' | 'refused'

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
  /** one for each choice; empty where it didn't come to an end */
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

export interface Caller {
  /** null for the holder of the admin key, who is in no table */
  id: string | null
  name: string
}

/** The reason with which an exchange's signal aborts: its client is gone. */
class ClientLeft extends Error {
  override name = 'ClientLeft'
}

/** nginx's code for a client that left before it was answered; never sent, only recorded */
const CLIENT_CLOSED_REQUEST = 499

export class Exchange {
  readonly id: string
  readonly startedMs: number
  readonly #now: () => number
  readonly #abort = new AbortController()
  readonly #record: ExchangeRecord
  #error: GatewayError | null = null
  #isClosed = false
  /** when each choice's newest delta came */
  readonly #lastDeltaMs: number[] = []

  /** @param now milliseconds since 1970, monotonic */
  constructor(id: string, method: string, route: string, now: () => number) {
    this.id = id
    this.#now = now
    this.startedMs = now()
    const startedAt = new Date(this.startedMs)
    this.#record = {
      id,
      startedAt,
      closedAt: startedAt,
      callerId: null,
      callerName: null,
      method,
      route,
      requestedModel: null,
      model: null,
      version: null,
      streamed: false,
      prompt: null,
      answer: null,
      parameters: null,
      finishReasons: null,
      promptTokens: null,
      cachedTokens: null,
      completionTokens: null,
      queueMs: null,
      prefillMs: null,
      decodeMs: null,
      timeToFirstTokenMs: null,
      totalMs: 0,
      outcome: 'completed',
      status: 0,
      errorCode: null,
      errorMessage: null,
    }
  }

  /** aborts when the client is gone */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  calledBy(caller: Caller) {
    this.#record.callerId = caller.id
    this.#record.callerName = caller.name
  }

  asked(asked: Pick<ExchangeRecord, 'requestedModel' | 'prompt' | 'parameters' | 'streamed'>) {
    Object.assign(this.#record, asked)
  }

  answeredBy(model: string, version: string) {
    this.#record.model = model
    this.#record.version = version
  }

  /** A prompt was taken up; with several prompts, once for each. */
  promptStarted(promptTokens: number, cachedTokens: number, queueMs: number) {
    const record = this.#record
    record.promptTokens = (record.promptTokens ?? 0) + promptTokens
    record.cachedTokens = (record.cachedTokens ?? 0) + cachedTokens
    record.queueMs = Math.max(record.queueMs ?? 0, queueMs)
  }

  /** @returns milliseconds since the choice's delta before this one, null for its first */
  produced(choice: number, text: string, tokens: number): number | null {
    const record = this.#record
    const now = this.#now()
    const last = this.#lastDeltaMs[choice]
    this.#lastDeltaMs[choice] = now
    record.timeToFirstTokenMs ??= now - this.startedMs
    record.answer ??= []
    record.answer[choice] = (record.answer[choice] ?? '') + text
    record.completionTokens = (record.completionTokens ?? 0) + tokens
    return last === undefined ? null : now - last
  }

  finished(choice: number, reason: FinishReason) {
    const record = this.#record
    record.finishReasons ??= []
    record.finishReasons[choice] = reason
  }

  settled(usage: Usage, timings: Timings) {
    const record = this.#record
    record.promptTokens = usage.promptTokens
    record.cachedTokens = usage.cachedTokens
    record.completionTokens = usage.completionTokens
    record.queueMs = timings.queueMs
    record.prefillMs = timings.prefillMs
    record.decodeMs = timings.decodeMs
  }

  /** The first error is the one that counts; one that follows from the client's leaving does not. */
  failed(error: GatewayError) {
    if (!this.#abort.signal.aborted) this.#error ??= error
  }

  /**
   * @param status as sent, null where no header was sent
   * @param isDelivered everything that was to be sent has been
   * @returns the record the first time, null ever after
   */
  close(status: number | null, isDelivered: boolean): ExchangeRecord | null {
    if (this.#isClosed) return null
    this.#isClosed = true
    const record = this.#record
    const now = this.#now()
    record.closedAt = new Date(now)
    record.totalMs = now - this.startedMs
    record.status = status ?? CLIENT_CLOSED_REQUEST
    // Holes are choices that produced nothing.
    if (record.answer) record.answer = Array.from(record.answer, (text) => text ?? '')
    if (record.finishReasons) {
      record.finishReasons = Array.from(record.finishReasons, (reason) => reason ?? '')
    }
    if (this.#error) {
      record.outcome = this.#error.kind.outcome
      record.errorCode = this.#error.code
      record.errorMessage = this.#error.detail
    } else if (!isDelivered) {
      record.outcome = 'cancelled'
    }
    if (!isDelivered) this.#abort.abort(new ClientLeft('The client left before its answer ended.'))
    return record
  }
}
