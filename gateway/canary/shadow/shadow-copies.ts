// Copies of answered questions for a version that nobody sees yet, off the way of every request.
//
// A copy is taken when the client has its whole answer; it waits in a queue that is bounded by number and bytes, and is
// asked few at a time, on this side's own machines one at a time. Where there is no room it is dropped and counted: a
// shadow shows what a version is like, and needs no copy in particular. Its caller is neither billed nor limited for it,
// and no row of theirs knows of it.
//
// Knows: queues, time, policies of texts. Does not know: HTTP, SQL.

import { askShadow, textOf } from './ask.ts'
import { similarityOf } from './similarity.ts'
import type { ShadowAnswer } from './ask.ts'
import type { Question } from '../../backends/backend.ts'
import type { BodyPolicy } from '../../callers/body-policy.ts'
import type { ShadowRow } from '../../db/shadow-answers.ts'
import type { ExchangeRecord } from '../../exchange/exchange-record.ts'
import type { Logger } from '../../logger.ts'
import type { Privacy } from '../../privacy/privacy.ts'
import type { Target } from '../../routing/route.ts'

export interface ShadowCopy {
  question: Question
  /** of the request's body, as it came */
  bytes: number
  /** of the exchange that completed */
  record: ExchangeRecord
  /** the caller's policy of texts; null: none of its own */
  bodies: BodyPolicy | null
  target: Target
  /** of the requests that are copied, in (0, 1] */
  share: number
}

export interface ShadowCopiesOptions {
  keep: (row: ShadowRow) => Promise<void>
  privacy: Pick<Privacy, 'keptText'>
  logger: Logger
  /** in [0, 1) */
  random?: () => number
  timeLimitMs?: number
  limits?: Partial<typeof LIMITS>
}

const LIMITS = {
  /** copies that wait */
  waiting: 64,
  /** of bodies that wait: sixteen long conversations */
  waitingBytes: 16 * 1024 * 1024,
  /** asked at once of this side's own engines: live requests share the machine with them */
  local: 1,
  /** asked at once of upstreams */
  upstream: 2,
}
const TIME_LIMIT_MS = 120_000

const placeOf = ({ upstream }: Target) => (upstream === 'local' ? 'local' : 'upstream')

export class ShadowCopies {
  readonly #options: ShadowCopiesOptions
  readonly #limits: typeof LIMITS
  readonly #waiting: ShadowCopy[] = []
  #waitingBytes = 0
  readonly #running = new Set<Promise<void>>()
  readonly #inHand = { local: 0, upstream: 0 }
  readonly #stop = new AbortController()
  readonly #results = { kept: 0, dropped: 0, lost: 0 }

  constructor(options: ShadowCopiesOptions) {
    this.#options = options
    this.#limits = { ...LIMITS, ...options.limits }
  }

  /** copies by what became of them: kept; dropped for want of room; lost, because the table was away */
  get results(): Readonly<Record<'kept' | 'dropped' | 'lost', number>> {
    return this.#results
  }

  /** copies that wait or are being asked */
  get pending(): number {
    return this.#waiting.length + this.#running.size
  }

  /** Takes a copy of what was answered, or not, by the share. Returns at once, and throws nothing. */
  offer(copy: ShadowCopy): void {
    const { random = Math.random } = this.#options
    if (this.#stop.signal.aborted || random() >= copy.share) return
    // It would be compared with itself.
    if (copy.record.version === copy.target.version) return
    const { waiting, waitingBytes } = this.#limits
    const isFull = this.#waiting.length >= waiting || this.#waitingBytes + copy.bytes > waitingBytes
    if (isFull) {
      this.#results.dropped++
      return
    }
    this.#waiting.push(copy)
    this.#waitingBytes += copy.bytes
    // The client's last bytes go first.
    setImmediate(() => this.#startNext())
  }

  /** Ends what runs; what waits is dropped. */
  async close(): Promise<void> {
    this.#stop.abort()
    this.#results.dropped += this.#waiting.length
    this.#waiting.length = 0
    await Promise.all(this.#running)
  }

  #startNext() {
    while (!this.#stop.signal.aborted) {
      const index = this.#waiting.findIndex(({ target }) => {
        const place = placeOf(target)
        return this.#inHand[place] < this.#limits[place]
      })
      if (index < 0) return
      const [copy] = this.#waiting.splice(index, 1)
      if (!copy) return
      this.#waitingBytes -= copy.bytes
      const place = placeOf(copy.target)
      this.#inHand[place]++
      const run = this.#run(copy).finally(() => {
        this.#inHand[place]--
        this.#running.delete(run)
        this.#startNext()
      })
      this.#running.add(run)
    }
  }

  async #run(copy: ShadowCopy): Promise<void> {
    const { keep, logger, timeLimitMs = TIME_LIMIT_MS } = this.#options
    const stop = this.#stop.signal
    const signal = AbortSignal.any([stop, AbortSignal.timeout(timeLimitMs)])
    try {
      const answer = await askShadow(copy.target, copy.question, signal)
      if (stop.aborted) {
        this.#results.dropped++
        return
      }
      await keep(await this.#rowOf(copy, answer))
      this.#results.kept++
    } catch (error) {
      this.#results.lost++
      logger.warn({ err: error, version: copy.target.version }, "a shadow's answer is not kept")
    }
  }

  async #rowOf({ record, target, bodies }: ShadowCopy, answer: ShadowAnswer): Promise<ShadowRow> {
    const { privacy } = this.#options
    const live = (record.answer ?? []).map((text, choice) =>
      textOf(text, record.toolCalls?.[choice] ?? []),
    )
    const isWhole = answer.outcome === 'completed'
    const texts = answer.texts.map((text) => privacy.keptText(text, bodies))
    return {
      exchangeId: record.id,
      model: record.model ?? '',
      liveVersion: record.version ?? '',
      version: target.version,
      upstream: target.upstream,
      outcome: answer.outcome,
      errorCode: answer.errorCode,
      answer: texts.every((text) => text !== null) ? texts : null,
      finishReasons: answer.finishReasons,
      // Of the texts as they were said: a figure tells nobody what they were.
      similarity: isWhole ? await meanSimilarity(answer.texts, live) : null,
      promptTokens: answer.promptTokens,
      completionTokens: answer.completionTokens,
      liveCompletionTokens: record.completionTokens,
      costUsd: answer.costUsd,
      timeToFirstTokenMs: answer.timeToFirstTokenMs,
      totalMs: answer.totalMs,
      liveTimeToFirstTokenMs: record.timeToFirstTokenMs,
      liveTotalMs: record.totalMs,
    }
  }
}

/** Choice by choice. */
async function meanSimilarity(texts: readonly string[], live: readonly string[]): Promise<number> {
  let sum = 0
  for (const [choice, text] of texts.entries()) sum += await similarityOf(text, live[choice] ?? '')
  return texts.length === 0 ? 0 : sum / texts.length
}
