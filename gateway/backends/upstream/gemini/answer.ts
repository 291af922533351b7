// An answer of generateContent, chunk by chunk or whole, as our own events.
//
// Format: https://ai.google.dev/api/generate-content#generatecontentresponse
//
// A whole answer is a stream of one chunk, and nothing marks the end of a stream: it is whole when each candidate has
// said why it finished. A prompt that was blocked has no candidates, and that is an answer too.
//
// Knows: Gemini's chunks, our own events. Does not know: HTTP, errors.

import { estimatePromptTokens, estimateTokens } from '../estimate.ts'
import { callIdWith } from './call-id.ts'
import { countOf, fieldsOf, listOf, stringOf } from '../wire-fields.ts'
import type { AnswerEvent, AnswerUsage, FinishReason, Question } from '../../backend.ts'
import type { Fields } from '../wire-fields.ts'

/** The model gave up: what it said is no answer. */
export class NoAnswer extends Error {
  override name = 'NoAnswer'
}

interface Candidate {
  calls: number
  hasFinished: boolean
}

export class ChunkReader {
  readonly #question: Question
  readonly #candidates: Candidate[]
  #usage: Fields = {}
  /** everything that was said, for an estimate */
  #said = ''

  constructor(question: Question) {
    this.#question = question
    this.#candidates = Array.from({ length: question.choices }, () => ({
      calls: 0,
      hasFinished: false,
    }))
  }

  /** Every candidate came to its end, and said so. */
  get isWhole(): boolean {
    return this.#candidates.every(({ hasFinished }) => hasFinished)
  }

  /** @throws NoAnswer */
  read(chunk: Fields): AnswerEvent[] {
    // Counts are totals so far.
    Object.assign(this.#usage, fieldsOf(chunk['usageMetadata']))
    const events: AnswerEvent[] = []
    for (const candidate of listOf(chunk['candidates'])) this.#readCandidate(candidate, events)
    if (stringOf(fieldsOf(chunk['promptFeedback'])['blockReason']) !== '') this.#block(events)
    return events
  }

  /** After the last chunk. */
  end(): AnswerEvent {
    return { type: 'done', usage: this.#settle(), timings: null }
  }

  #readCandidate({ index, content, finishReason }: Fields, events: AnswerEvent[]) {
    const choice = countOf(index) ?? 0
    const candidate = this.#candidates[choice]
    // More candidates than were asked for are nobody's.
    if (!candidate || candidate.hasFinished) return
    for (const part of listOf(fieldsOf(content)['parts'])) {
      this.#readPart(part, choice, candidate, events)
    }
    if (typeof finishReason !== 'string' || finishReason === 'FINISH_REASON_UNSPECIFIED') return
    const reason = finishReasonOf(finishReason)
    if (!reason) throw new NoAnswer(finishReason.slice(0, 60))
    candidate.hasFinished = true
    const isCall = reason === 'stop' && candidate.calls > 0
    events.push({ type: 'finished', choice, finishReason: isCall ? 'tool_calls' : reason })
  }

  #readPart(part: Fields, choice: number, candidate: Candidate, events: AnswerEvent[]) {
    const text = stringOf(part['text'])
    this.#said += text
    if (text !== '') {
      events.push(
        part['thought'] === true
          ? { type: 'reasoning', choice, text }
          : { type: 'delta', choice, text, tokens: null },
      )
    }
    if (part['functionCall'] === undefined) return
    const call = fieldsOf(part['functionCall'])
    const index = candidate.calls++
    const id = callIdWith(stringOf(part['thoughtSignature']))
    const args = JSON.stringify(call['args'] ?? {})
    this.#said += args
    events.push(
      { type: 'toolCall', choice, index, id, name: stringOf(call['name']) },
      { type: 'toolArguments', choice, index, text: args },
    )
  }

  #block(events: AnswerEvent[]) {
    for (const [choice, candidate] of this.#candidates.entries()) {
      if (candidate.hasFinished) continue
      candidate.hasFinished = true
      events.push({ type: 'finished', choice, finishReason: 'content_filter' })
    }
  }

  #settle(): AnswerUsage {
    const prompt = countOf(this.#usage['promptTokenCount'])
    const thoughts = countOf(this.#usage['thoughtsTokenCount'])
    // Left out where there is none, as everything that is zero is; then only the prompt's says that somebody counted.
    const generated =
      prompt === undefined
        ? estimateTokens(this.#said)
        : (countOf(this.#usage['candidatesTokenCount']) ?? 0)
    return {
      promptTokens:
        (prompt ?? estimatePromptTokens(this.#question)) +
        (countOf(this.#usage['toolUsePromptTokenCount']) ?? 0),
      cachedTokens: countOf(this.#usage['cachedContentTokenCount']) ?? 0,
      completionTokens: generated + (thoughts ?? 0),
      ...(thoughts !== undefined && { reasoningTokens: thoughts }),
      ...(prompt === undefined && { isEstimated: true }),
    }
  }
}

/** null for an end that leaves no answer: MALFORMED_FUNCTION_CALL, UNEXPECTED_TOOL_CALL, OTHER and what else there will be */
function finishReasonOf(reason: string): FinishReason | null {
  switch (reason) {
    case 'STOP':
      return 'stop'
    case 'MAX_TOKENS':
      return 'length'
    case 'SAFETY':
    case 'RECITATION':
    case 'LANGUAGE':
    case 'BLOCKLIST':
    case 'PROHIBITED_CONTENT':
    case 'SPII':
    case 'IMAGE_SAFETY':
      return 'content_filter'
    default:
      return null
  }
}
