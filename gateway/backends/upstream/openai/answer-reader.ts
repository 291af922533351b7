// Chunks and bodies of chat completions and completions, read into our events.
//
// An answer is whole when each of its choices said why it ended; then, and only then, there are figures. Servers repeat
// an end, tell it with the last piece or after it, and call it by names of their own. What can't be an answer is
// refused: a success that isn't one would be the worst that can be told.
//
// Knows: the wire format's answer side. Does not know: HTTP, event streams.

import { estimatePromptTokens, estimateTokens } from '../estimate.ts'
import { readChatLogprobs, readTextLogprobs } from './logprobs.ts'
import { ToolCallReader } from './tool-calls.ts'
import { readUsage } from './usage.ts'
import type { AnswerEvent, AnswerUsage, FinishReason, Question } from '../../backend.ts'
import type { WireToolCall } from './tool-calls.ts'

/** Something that is no answer; the message says what it is, `text` what it was in. */
export class UnreadableAnswer extends Error {
  override name = 'UnreadableAnswer'
  readonly text: string

  constructor(message: string, text: string) {
    super(message)
    this.text = text
  }
}

/** An `error` where an answer was expected. */
export class ErrorWithin extends Error {
  override name = 'ErrorWithin'
  readonly error: unknown

  constructor(error: unknown) {
    super('an error within the answer')
    this.error = error
  }
}

interface WireChoice {
  index?: unknown
  /** of a chunk of a chat */
  delta?: WireMessage | null
  /** of a whole chat */
  message?: WireMessage | null
  /** of a continued text */
  text?: unknown
  logprobs?: unknown
  finish_reason?: unknown
}

interface WireMessage {
  content?: unknown
  /** two names for the same thing */
  reasoning_content?: unknown
  reasoning?: unknown
  refusal?: unknown
  tool_calls?: unknown
}

interface ChoiceState {
  calls: ToolCallReader | null
  isFinished: boolean
}

export class AnswerReader {
  readonly #question: Question
  readonly #choices: ChoiceState[]
  #unfinished: number
  #usage: AnswerUsage | null = null
  /** everything that was said, for an estimate */
  #said = ''

  constructor(question: Question) {
    this.#question = question
    const count =
      question.kind === 'chat' ? question.choices : question.choices * question.prompts.length
    this.#choices = Array.from({ length: count }, () => ({ calls: null, isFinished: false }))
    this.#unfinished = count
  }

  /** Every choice said why it ended. */
  get isWhole(): boolean {
    return this.#unfinished === 0
  }

  /** How many choices did, for messages. */
  get progress(): string {
    const all = this.#choices.length
    return `${all - this.#unfinished} of ${all} choices had ended`
  }

  /** @throws UnreadableAnswer, ErrorWithin */
  readChunk(data: string, into: AnswerEvent[]): void {
    this.#readChoices(this.#parse(data), data, into)
  }

  /** @throws UnreadableAnswer, ErrorWithin */
  readBody(body: unknown, into: AnswerEvent[]): void {
    const text = () => JSON.stringify(body)
    if (typeof body !== 'object' || body === null) {
      throw new UnreadableAnswer('sent something that is no answer', text())
    }
    const wire = body as Record<string, unknown>
    if (wire['error']) throw new ErrorWithin(wire['error'])
    if (!Array.isArray(wire['choices'])) {
      throw new UnreadableAnswer('sent an answer without choices', text())
    }
    this.#readChoices(wire, '', into)
  }

  /** The figures of a whole answer. */
  done(): AnswerEvent {
    const usage = this.#usage ?? {
      promptTokens: estimatePromptTokens(this.#question),
      cachedTokens: 0,
      completionTokens: estimateTokens(this.#said),
      isEstimated: true,
    }
    return { type: 'done', usage, timings: null }
  }

  #parse(data: string): Record<string, unknown> {
    let body: unknown
    try {
      body = JSON.parse(data)
    } catch {
      throw new UnreadableAnswer('sent an event that is not JSON', data)
    }
    if (typeof body !== 'object' || body === null) {
      throw new UnreadableAnswer('sent an event that is no object', data)
    }
    const wire = body as Record<string, unknown>
    if (wire['error']) throw new ErrorWithin(wire['error'])
    return wire
  }

  #readChoices(body: Record<string, unknown>, data: string, into: AnswerEvent[]): void {
    if (body['usage']) this.#usage = readUsage(body['usage']) ?? this.#usage
    const { choices } = body
    // Azure's filters speak without choices, and so does what only has the usage.
    if (!Array.isArray(choices)) return
    for (const choice of choices as WireChoice[]) this.#readChoice(choice, data, into)
  }

  #readChoice(wire: WireChoice, data: string, into: AnswerEvent[]): void {
    const index = typeof wire.index === 'number' ? wire.index : 0
    const state = this.#choices[index]
    if (!state) {
      throw new UnreadableAnswer(`sent choice ${index} of ${this.#choices.length}`, data)
    }
    if (this.#question.kind === 'completion') {
      const text = typeof wire.text === 'string' ? wire.text : ''
      this.#say(index, text, readTextLogprobs(wire.logprobs), into)
    } else {
      const message = wire.delta ?? wire.message
      if (message) this.#readMessage(message, index, state, wire.logprobs, into)
    }
    if (typeof wire.finish_reason === 'string') {
      this.#finish(index, state, wire.finish_reason, data, into)
    }
  }

  #readMessage(
    message: WireMessage,
    choice: number,
    state: ChoiceState,
    logprobs: unknown,
    into: AnswerEvent[],
  ): void {
    const { content, refusal, tool_calls: calls } = message
    const reasoning = message.reasoning_content ?? message.reasoning
    if (typeof reasoning === 'string' && reasoning !== '') this.#think(choice, reasoning, into)
    if (Array.isArray(content)) this.#readParts(content, choice, into)
    const text = typeof content === 'string' ? content : ''
    this.#say(choice, text, logprobs ? readChatLogprobs(logprobs) : undefined, into)
    if (typeof refusal === 'string' && refusal !== '') {
      this.#said += refusal
      into.push({ type: 'refusal', choice, text: refusal })
    }
    if (!Array.isArray(calls)) return
    state.calls ??= new ToolCallReader(choice, (index) => this.#callId(choice, index))
    for (const piece of calls as WireToolCall[]) {
      const before = into.length
      state.calls.read(piece, into)
      for (const event of into.slice(before)) {
        if (event.type === 'toolArguments') this.#said += event.text
        else if (event.type === 'toolCall') this.#said += event.name
      }
    }
  }

  /** Mistral's models that think write a list, as a request would. */
  #readParts(parts: Record<string, unknown>[], choice: number, into: AnswerEvent[]): void {
    for (const part of parts) {
      if (typeof part['text'] === 'string') this.#say(choice, part['text'], undefined, into)
      const { thinking } = part
      if (!Array.isArray(thinking)) continue
      for (const { text } of thinking as { text?: unknown }[]) {
        if (typeof text === 'string') this.#think(choice, text, into)
      }
    }
  }

  #think(choice: number, text: string, into: AnswerEvent[]): void {
    this.#said += text
    into.push({ type: 'reasoning', choice, text })
  }

  #say(
    choice: number,
    text: string,
    logprobs: ReturnType<typeof readChatLogprobs>,
    into: AnswerEvent[],
  ): void {
    if (logprobs) {
      into.push({ type: 'delta', choice, text, tokens: logprobs.length, logprobs })
    } else if (text !== '') {
      into.push({ type: 'delta', choice, text, tokens: null })
    }
    this.#said += text
  }

  #finish(
    choice: number,
    state: ChoiceState,
    reason: string,
    data: string,
    into: AnswerEvent[],
  ): void {
    if (state.isFinished) return
    if (FAILED.has(reason)) {
      throw new ErrorWithin({ message: `The answer ended with finish_reason '${reason}'.` })
    }
    if (state.calls?.isNameless) throw new UnreadableAnswer('sent a tool call without a name', data)
    const finishReason = FINISH_REASONS.get(reason) ?? 'stop'
    // Some servers say 'stop' for calls too; a client waits for the other word before it makes them.
    const isCalling = state.calls !== null && finishReason === 'stop'
    into.push({ type: 'finished', choice, finishReason: isCalling ? 'tool_calls' : finishReason })
    state.isFinished = true
    this.#unfinished--
  }

  #callId(choice: number, index: number): string {
    return `call_${this.#question.id.replaceAll('-', '')}_${choice}_${index}`
  }
}

/** Words of servers other than OpenAI's; one that is in neither list is taken for a stop. */
const FINISH_REASONS = new Map(
  Object.entries<FinishReason>({
    stop: 'stop',
    length: 'length',
    max_tokens: 'length',
    model_length: 'length',
    tool_calls: 'tool_calls',
    function_call: 'tool_calls',
    content_filter: 'content_filter',
  }),
)
/** The answer is over, and not because it was finished. */
const FAILED = new Set(['error', 'abort', 'aborted', 'cancelled', 'insufficient_system_resource'])
