// One NDJSON answer on its way to its reader.
//
// Events of one turn of the event loop, so of one step, are written together. While the reader is slow, deltas are
// joined instead of queued: what waits is then one longer delta, and only a reader who is hopelessly behind is given up.
//
// Knows: events, one response, how far behind its reader is. Does not know: engines, routes.

import type { ServerResponse } from 'node:http'

import type { EncodeEvent, GenerateEvent, LoadEvent } from '../protocol.ts'

type AnswerEvent = GenerateEvent | EncodeEvent | LoadEvent
type Delta = Extract<GenerateEvent, { type: 'delta' }>

// About a million tokens of text, or some thousand with twenty log-probabilities each: no reader that reads at all gets
// there, and hundreds that don't are still only a few hundred megabytes.
const MAX_BEHIND_BYTES = 4 * 1024 * 1024
/** token, bytes, and number of one log-probability, as JSON */
const LOGPROB_BYTES = 80
/** how long a reader that was given up may take to read why */
const LAST_WORDS_MS = 10_000
const LAST = new Set<AnswerEvent['type']>(['done', 'encoded', 'ready', 'error'])

export class AnswerStream {
  readonly #response: ServerResponse
  readonly #onAbandoned: () => void
  readonly #pending: AnswerEvent[] = []
  #pendingBytes = 0
  #isFlushDue = false
  #isBlocked = false
  #hasLast = false

  /** @param onAbandoned called once when the reader leaves or is given up before the last event */
  constructor(response: ServerResponse, onAbandoned: () => void) {
    this.#response = response
    this.#onAbandoned = onAbandoned
    // Not the request's 'close', which comes as soon as its body was read.
    response.on('close', () => this.#abandon())
    response.on('drain', () => {
      this.#isBlocked = false
      this.#flush()
    })
    response.writeHead(200, { 'content-type': 'application/x-ndjson' })
  }

  push(event: AnswerEvent): void {
    if (this.#hasLast) return
    this.#hasLast = LAST.has(event.type)
    const last = this.#pending.at(-1)
    if (event.type === 'delta' && last?.type === 'delta') {
      this.#pending[this.#pending.length - 1] = joined(last, event)
    } else {
      this.#pending.push(event)
    }
    this.#pendingBytes += sizeOf(event)
    if (this.#isBlocked && this.#pendingBytes > MAX_BEHIND_BYTES) this.#giveUp()
    if (this.#isFlushDue || this.#isBlocked) return
    this.#isFlushDue = true
    process.nextTick(() => this.#flush())
  }

  /** Tells an idle reader that somebody is still here. */
  beat(): void {
    if (!this.#isBlocked && !this.#hasLast) this.#response.write('\n')
  }

  #flush(): void {
    this.#isFlushDue = false
    if (this.#isBlocked || this.#pending.length === 0 || this.#response.destroyed) return
    let lines = ''
    for (const event of this.#pending) lines += JSON.stringify(event) + '\n'
    this.#pending.length = 0
    this.#pendingBytes = 0
    if (this.#hasLast) this.#response.end(lines)
    else this.#isBlocked = !this.#response.write(lines)
  }

  #giveUp(): void {
    const megabytes = Math.round(MAX_BEHIND_BYTES / 1024 / 1024)
    const message = `The answer was not read: its reader was more than ${megabytes} MiB behind.`
    this.#abandon()
    this.#pending.length = 0
    this.#pending.push({ type: 'error', error: { code: 'runtime_unreachable', message } })
    setTimeout(() => this.#response.destroy(), LAST_WORDS_MS).unref()
  }

  /** Does nothing where there is nothing left to cancel. */
  #abandon(): void {
    if (!this.#hasLast) this.#onAbandoned()
    this.#hasLast = true
  }
}

function joined(a: Delta, b: Delta): Delta {
  const delta: Delta = { type: 'delta', text: a.text + b.text, tokens: a.tokens + b.tokens }
  if (a.logprobs || b.logprobs) delta.logprobs = [...(a.logprobs ?? []), ...(b.logprobs ?? [])]
  return delta
}

function sizeOf(event: AnswerEvent): number {
  if (event.type !== 'delta') return 0
  let bytes = event.text.length
  for (const { top } of event.logprobs ?? []) bytes += LOGPROB_BYTES * (1 + top.length)
  return bytes
}
