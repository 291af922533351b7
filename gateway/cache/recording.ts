// An answer written down while it is given: its events, pieces of one text made one.
//
// Knows: events. Does not know: where recordings are kept, whose they are.

import type { AnswerEvent } from '../backends/backend.ts'

type Recorded = Exclude<AnswerEvent, { type: 'started' }>

export class Recording {
  readonly #maxCharacters: number
  readonly #events: Recorded[] = []
  /** the newest event of each choice, where pieces can still be added to it */
  readonly #newest = new Map<number, Recorded>()
  #characters = 0
  #isLost = false
  #isWhole = false

  constructor(maxCharacters: number) {
    this.#maxCharacters = maxCharacters
  }

  add(event: AnswerEvent): void {
    if (event.type === 'started' || this.#isLost) return
    this.#characters += sizeOf(event)
    if (this.#characters > this.#maxCharacters) {
      this.#isLost = true
      this.#events.length = 0
      return
    }
    if (event.type === 'done') {
      // How long it took the first time is nothing that the second time took.
      this.#events.push({ ...event, timings: null })
      this.#isWhole = true
      return
    }
    // A filter's verdict is about a moment, not about a question.
    if (event.type === 'finished' && event.finishReason === 'content_filter') this.#isLost = true
    const newest = this.#newest.get(event.choice)
    if (newest && join(newest, event)) return
    // Its own copy: pieces are added to it.
    const copy = structuredClone(event)
    this.#events.push(copy)
    this.#newest.set(event.choice, copy)
  }

  /** null unless the answer came to its end and is worth keeping */
  get events(): AnswerEvent[] | null {
    return this.#isWhole && !this.#isLost ? this.#events : null
  }
}

/** @returns whether the piece became part of what is there */
function join(into: Recorded, piece: Recorded): boolean {
  switch (piece.type) {
    case 'delta':
      if (into.type !== 'delta') return false
      into.text += piece.text
      into.tokens =
        into.tokens === null || piece.tokens === null ? null : into.tokens + piece.tokens
      if (piece.logprobs) (into.logprobs ??= []).push(...piece.logprobs)
      return true
    case 'reasoning':
      if (into.type !== 'reasoning' || into.signature !== undefined) return false
      into.text += piece.text
      if (piece.signature !== undefined) into.signature = piece.signature
      return true
    case 'refusal':
      if (into.type !== 'refusal') return false
      into.text += piece.text
      return true
    case 'toolArguments':
      if (into.type !== 'toolArguments' || into.index !== piece.index) return false
      into.text += piece.text
      return true
    default:
      return false
  }
}

function sizeOf(event: Recorded): number {
  const logprobs = event.type === 'delta' && event.logprobs ? JSON.stringify(event.logprobs) : ''
  return ('text' in event ? event.text.length : 64) + logprobs.length
}
