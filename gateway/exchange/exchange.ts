// The record that follows one request from its first byte to its last and closes exactly once.
//
// Whoever learns something about the request tells its Exchange: the hooks who called, the routes what was asked, the
// answer what was produced. When it closes, for whatever reason, the record is handed on, once.
//
// Knows: its own clock and what it was told. Does not know: HTTP, SQL, metrics.

import { costOfExchange, fillTokens, meanGapMs } from './exchange-figures.ts'
import { emptyRecord } from './exchange-record.ts'
import type { AnswerUsage, FinishReason } from '../backends/backend.ts'
import type { BodyPolicy } from '../callers/body-policy.ts'
import type { Caller } from '../callers/caller.ts'
import type { GatewayError } from '../errors.ts'
import type { ExchangeRecord } from './exchange-record.ts'
import type { Attempt, Price, Target } from '../routing/route.ts'
import type { RequestTrace } from '../traces/traces.ts'
import type { Timings } from '../../runtime/protocol.ts'

/** What was taken from the caller's limits for it. */
interface Reservation {
  settle(record: ExchangeRecord, costUsd: number): void
  release(): void
}

/** The reason with which an exchange's signal aborts: its client is gone. */
class ClientLeft extends Error {
  override name = 'ClientLeft'
}

/** Its client is gone: nobody is left to be told anything. */
export function hasLeft({ signal }: Exchange): boolean {
  return signal.aborted && signal.reason instanceof ClientLeft
}

/** nginx's code for a client that left before it was answered; never sent, only recorded */
const CLIENT_CLOSED_REQUEST = 499

type OnClosed = (record: ExchangeRecord, kept: () => void) => void

export class Exchange {
  readonly id: string
  readonly startedMs: number
  readonly #now: () => number
  readonly #onClosed: OnClosed
  /** null: nobody follows it */
  #trace: RequestTrace | null = null
  readonly #abort = new AbortController()
  readonly #record: ExchangeRecord
  #error: GatewayError | null = null
  #isClosed = false
  /** when each choice's newest delta came */
  readonly #lastDeltaMs: number[] = []
  #estimatePrompt: () => number = () => 0
  #isMeasured = false
  #price: Price | null = null
  /** when whoever answers was asked */
  #askedMs = 0
  #reservation: Reservation | null = null
  #bodies: BodyPolicy | null = null
  #onCompleted: ((record: ExchangeRecord) => void) | null = null

  /**
   * @param now milliseconds since 1970, monotonic
   * @param onClosed is handed the record, once, and calls back when it is kept
   */
  constructor(id: string, method: string, route: string, now: () => number, onClosed: OnClosed) {
    this.id = id
    this.#onClosed = onClosed
    this.#now = now
    this.startedMs = now()
    this.#record = emptyRecord({ id, startedAt: new Date(this.startedMs), method, route })
  }

  /** aborts when the client is gone, or with a GatewayError where the exchange is cut from this side */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  tracedBy(trace: RequestTrace) {
    this.#trace = trace
  }

  calledBy(caller: Caller) {
    this.#bodies = caller.bodies
    this.#record.callerId = caller.id
    this.#record.callerName = caller.name
    this.#record.projectId = caller.project?.id ?? null
    const tags = Object.entries(caller.tags)
    if (tags.length > 0) this.#record.tags = tags.map(([name, value]) => `${name}=${value}`)
  }

  /** what may be kept of its texts; null: as the server says */
  get bodies(): BodyPolicy | null {
    return this.#bodies
  }

  asked({ tags, ...asked }: Partial<ExchangeRecord>) {
    Object.assign(this.#record, asked)
    if (tags) this.#record.tags = [...(this.#record.tags ?? []), ...tags]
  }

  /** @param estimate tokens of the prompt, by its length; asked where nobody measured them */
  promptEstimated(estimate: () => number) {
    this.#estimatePrompt = estimate
  }

  /**
   * A target is being asked; it is the one that answers, unless another is asked later.
   * @returns headers that tell it of the request's trace; none where there is no trace
   */
  asking(model: string, target: Target): Record<string, string> | undefined {
    const { version, upstream, price, deployment } = target
    const record = this.#record
    record.model = model
    record.version = version
    record.upstream = upstream
    record.deployment = deployment ?? null
    // What an earlier one had taken up is no part of this one's answer.
    record.promptTokens = null
    record.cachedTokens = null
    record.queueMs = null
    this.#price = price
    this.#askedMs = this.#now()
    return this.#trace?.asking(model, target, this.#askedMs)
  }

  /** Its caller may read it back, if it completes. */
  stored() {
    this.#record.isStored = true
  }

  attempted(attempt: Attempt) {
    this.#record.attempts.push(attempt)
    this.#trace?.attempted(attempt)
  }

  /** whom the caller asked for */
  get endUser(): string | null {
    return this.#record.endUser
  }

  /** as the caller named it */
  get session(): string | null {
    return this.#record.session
  }

  /** what was asked last; null where nobody was */
  get target(): { version: string; upstream: string; deployment: number | null } | null {
    const { version, upstream, deployment } = this.#record
    return version === null || upstream === null ? null : { version, upstream, deployment }
  }

  get attempts(): readonly Attempt[] {
    return this.#record.attempts
  }

  /** The answer's first piece is there. @returns milliseconds that were not spent waiting for targets */
  began(): number {
    const record = this.#record
    const waited = record.attempts.reduce((sum, { ms }) => sum + ms, 0)
    record.overheadMs ??= Math.max(0, this.#now() - this.startedMs - waited)
    return record.overheadMs
  }

  /** A prompt was taken up; with several prompts, once for each. */
  promptStarted(promptTokens: number, cachedTokens: number, queueMs: number) {
    const record = this.#record
    record.promptTokens = (record.promptTokens ?? 0) + promptTokens
    record.cachedTokens = (record.cachedTokens ?? 0) + cachedTokens
    record.queueMs = Math.max(record.queueMs ?? 0, queueMs)
  }

  /**
   * @param tokens since the choice's delta before this one; null where the target doesn't tell
   * @returns milliseconds since the choice's delta before this one, null for its first
   */
  produced(choice: number, text: string, tokens: number | null): number | null {
    const record = this.#record
    const now = this.#now()
    const last = this.#lastDeltaMs[choice]
    this.#lastDeltaMs[choice] = now
    record.timeToFirstTokenMs ??= now - this.startedMs
    record.answer ??= []
    record.answer[choice] = (record.answer[choice] ?? '') + text
    if (tokens !== null) record.completionTokens = (record.completionTokens ?? 0) + tokens
    return last === undefined ? null : now - last
  }

  called(choice: number, index: number, id: string, name: string) {
    const record = this.#record
    record.timeToFirstTokenMs ??= this.#now() - this.startedMs
    record.toolCalls ??= []
    const calls = (record.toolCalls[choice] ??= [])
    calls[index] = { id, name, arguments: '' }
  }

  argued(choice: number, index: number, text: string) {
    const call = this.#record.toolCalls?.[choice]?.[index]
    if (call) call.arguments += text
  }

  /** In words of its own the model said that it won't. */
  declined() {
    this.#record.isDeclined = true
  }

  finished(choice: number, reason: FinishReason) {
    const record = this.#record
    record.finishReasons ??= []
    record.finishReasons[choice] = reason
  }

  settled(usage: AnswerUsage, timings: Timings | null) {
    const record = this.#record
    record.promptTokens = usage.promptTokens
    record.cachedTokens = usage.cachedTokens
    record.completionTokens = usage.completionTokens
    record.isUsageEstimated = usage.isEstimated ?? false
    this.#isMeasured = true
    if (!timings) return
    record.queueMs = timings.queueMs
    record.prefillMs = timings.prefillMs
    record.decodeMs = timings.decodeMs
  }

  /** Settled when this closes; at once, and for nothing, where it has closed already. */
  reserved(reservation: Reservation) {
    if (this.#isClosed) reservation.release()
    else this.#reservation = reservation
  }

  /** @param listener is handed the record when all of the answer has been given, and only then; it throws nothing */
  whenCompleted(listener: (record: ExchangeRecord) => void) {
    this.#onCompleted = listener
  }

  /** The answer is one that was given before. */
  cached(result: 'hit' | 'miss') {
    this.#record.cache = result
  }

  /** Ends it from this side: whatever works for it stops, and its client is told why. */
  cut(error: GatewayError) {
    this.failed(error)
    this.#abort.abort(error)
  }

  /** The first error is the one that counts; one that follows from the client's leaving does not. */
  failed(error: GatewayError) {
    if (!this.#abort.signal.aborted) this.#error ??= error
  }

  /**
   * The first call counts.
   * @param status as sent, null where no header was sent
   * @param isDelivered everything that was to be sent has been, or is about to be
   * @param kept sends the last bytes: called when the record is kept, in this turn of the event loop or right behind it
   */
  close(status: number | null, isDelivered: boolean, kept = () => {}): void {
    if (this.#isClosed) return kept()
    this.#isClosed = true
    const record = this.#record
    const now = this.#now()
    record.closedAt = new Date(now)
    record.totalMs = now - this.startedMs
    record.interTokenMs = meanGapMs(record, this.startedMs, this.#lastDeltaMs)
    record.status = status ?? CLIENT_CLOSED_REQUEST
    // Holes are choices that produced nothing.
    if (record.answer) record.answer = Array.from(record.answer, (text) => text ?? '')
    if (record.finishReasons) {
      record.finishReasons = Array.from(record.finishReasons, (reason) => reason ?? '')
    }
    if (record.toolCalls) record.toolCalls = Array.from(record.toolCalls, (calls) => calls ?? [])
    if (!this.#isMeasured) fillTokens(record, this.#estimatePrompt)
    record.costUsd = costOfExchange(record, this.#price, this.#askedMs)
    if (this.#error) {
      record.outcome = this.#error.kind.outcome
      record.errorCode = this.#error.code
      record.errorMessage = this.#error.detail
    } else if (!isDelivered) {
      record.outcome = 'cancelled'
    }
    if (record.outcome !== 'completed') record.isStored = false
    this.#reservation?.settle(record, record.costUsd ?? 0)
    if (!isDelivered) this.#abort.abort(new ClientLeft('The client left before its answer ended.'))
    this.#trace?.closed(record)
    this.#onClosed(record, kept)
    if (record.outcome === 'completed') this.#onCompleted?.(record)
  }
}
