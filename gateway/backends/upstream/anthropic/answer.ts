// An answer of POST /v1/messages, event by event or whole, as our own events.
//
// Format: https://platform.claude.com/docs/en/build-with-claude/streaming
//
// Blocks of kinds that aren't known here come only of tools that the upstream runs itself, which nobody can have asked
// for through this gateway; they and events of unknown kinds are passed over, as the API's document wants it.
//
// Knows: Anthropic's events, our own. Does not know: HTTP, errors; an `error` event never comes here.

import { markRedacted } from '../../../dialects/anthropic/redacted.ts'
import { estimatePromptTokens, estimateTokens } from '../estimate.ts'
import { countOf, fieldsOf, listOf, stringOf } from '../wire-fields.ts'
import type { AnswerEvent, AnswerUsage, FinishReason, Question } from '../../backend.ts'
import type { Fields } from '../wire-fields.ts'

interface Call {
  index: number
  hasArguments: boolean
}

export class MessageReader {
  readonly #question: Question
  #usage: Fields = {}
  #calls = 0
  /** calls whose blocks are open, by the block's index */
  readonly #open = new Map<unknown, Call>()
  /** everything that was said, for an estimate */
  #said = ''
  #hasFinished = false
  #isWhole = false

  constructor(question: Question) {
    this.#question = question
  }

  /** The answer came to its end, and said so. */
  get isWhole(): boolean {
    return this.#isWhole
  }

  /** One event of a stream. */
  read(event: Fields): AnswerEvent[] {
    switch (event['type']) {
      case 'message_start':
        return this.#start(fieldsOf(event['message']))
      case 'content_block_start':
        return this.#startBlock(event['index'], fieldsOf(event['content_block']))
      case 'content_block_delta':
        return this.#delta(event['index'], fieldsOf(event['delta']))
      case 'content_block_stop':
        return this.#stopBlock(event['index'])
      case 'message_delta':
        this.#count(fieldsOf(event['usage']))
        return this.#finish(fieldsOf(event['delta']))
      case 'message_stop':
        return this.#end()
      default:
        return []
    }
  }

  /** A whole answer. */
  readWhole(message: Fields): AnswerEvent[] {
    const events = this.#start(message)
    for (const [index, block] of listOf(message['content']).entries()) {
      events.push(...this.#startBlock(index, block), ...this.#stopBlock(index))
    }
    events.push(...this.#finish(message), ...this.#end())
    return events
  }

  #start({ usage }: Fields): AnswerEvent[] {
    this.#count(fieldsOf(usage))
    // Some servers that speak the dialect count only at the end, and say zero until then.
    if (!countOf(this.#usage['input_tokens'])) return []
    const { promptTokens, cachedTokens } = this.#settle()
    return [{ type: 'started', promptTokens, cachedTokens, queueMs: 0 }]
  }

  /** In a stream, texts and inputs of a block that starts are empty. */
  #startBlock(index: unknown, block: Fields): AnswerEvent[] {
    switch (block['type']) {
      case 'text':
        return this.#text(stringOf(block['text']))
      case 'thinking':
        return this.#reasoning(stringOf(block['thinking']), stringOf(block['signature']))
      case 'redacted_thinking':
        return this.#reasoning('', markRedacted(stringOf(block['data'])))
      case 'tool_use': {
        const call = { index: this.#calls++, hasArguments: false }
        this.#open.set(index, call)
        const id = stringOf(block['id'])
        const name = stringOf(block['name'])
        const input = fieldsOf(block['input'])
        const text = Object.keys(input).length > 0 ? JSON.stringify(input) : ''
        return [
          { type: 'toolCall', choice: 0, index: call.index, id, name },
          ...this.#arguments(call, text),
        ]
      }
      default:
        return []
    }
  }

  #delta(index: unknown, delta: Fields): AnswerEvent[] {
    switch (delta['type']) {
      case 'text_delta':
        return this.#text(stringOf(delta['text']))
      case 'thinking_delta':
        return this.#reasoning(stringOf(delta['thinking']), '')
      case 'signature_delta':
        return this.#reasoning('', stringOf(delta['signature']))
      case 'input_json_delta': {
        const call = this.#open.get(index)
        return call ? this.#arguments(call, stringOf(delta['partial_json'])) : []
      }
      default:
        return []
    }
  }

  /** A tool without arguments is called with none at all here; elsewhere that is an empty object. */
  #stopBlock(index: unknown): AnswerEvent[] {
    const call = this.#open.get(index)
    this.#open.delete(index)
    return call && !call.hasArguments ? this.#arguments(call, '{}') : []
  }

  #text(text: string): AnswerEvent[] {
    this.#said += text
    return text === '' ? [] : [{ type: 'delta', choice: 0, text, tokens: null }]
  }

  #reasoning(text: string, signature: string): AnswerEvent[] {
    this.#said += text
    if (text === '' && signature === '') return []
    return [{ type: 'reasoning', choice: 0, text, ...(signature !== '' && { signature }) }]
  }

  #arguments(call: Call, text: string): AnswerEvent[] {
    if (text === '') return []
    this.#said += text
    call.hasArguments = true
    return [{ type: 'toolArguments', choice: 0, index: call.index, text }]
  }

  #finish({
    stop_reason: reason,
    stop_details: details,
    stop_sequence: stop,
  }: Fields): AnswerEvent[] {
    if (typeof reason !== 'string' || this.#hasFinished) return []
    this.#hasFinished = true
    const explanation = reason === 'refusal' ? stringOf(fieldsOf(details)['explanation']) : ''
    const refusal: AnswerEvent[] =
      explanation === '' ? [] : [{ type: 'refusal', choice: 0, text: explanation }]
    const stopSequence = stringOf(stop)
    return [
      ...refusal,
      {
        type: 'finished',
        choice: 0,
        finishReason: finishReasonOf(reason),
        ...(stopSequence !== '' && { stopSequence }),
      },
    ]
  }

  #end(): AnswerEvent[] {
    if (!this.#hasFinished) return []
    this.#isWhole = true
    return [{ type: 'done', usage: this.#settle(), timings: null }]
  }

  /** Later counts are totals, and leave out what did not change. */
  #count(usage: Fields) {
    for (const [name, value] of Object.entries(usage)) {
      if (value !== null) this.#usage[name] = value
    }
  }

  #settle(): AnswerUsage {
    const fresh = countOf(this.#usage['input_tokens'])
    const cachedTokens = countOf(this.#usage['cache_read_input_tokens']) ?? 0
    const cacheWriteTokens = countOf(this.#usage['cache_creation_input_tokens']) ?? 0
    const output = countOf(this.#usage['output_tokens'])
    const reasoningTokens = countOf(
      fieldsOf(this.#usage['output_tokens_details'])['thinking_tokens'],
    )
    return {
      promptTokens:
        fresh === undefined
          ? estimatePromptTokens(this.#question)
          : fresh + cachedTokens + cacheWriteTokens,
      cachedTokens,
      completionTokens: output ?? estimateTokens(this.#said),
      ...(cacheWriteTokens > 0 && { cacheWriteTokens }),
      ...(reasoningTokens !== undefined && { reasoningTokens }),
      ...((fresh === undefined || output === undefined) && { isEstimated: true }),
    }
  }
}

function finishReasonOf(reason: string): FinishReason {
  switch (reason) {
    case 'tool_use':
      return 'tool_calls'
    case 'refusal':
      return 'content_filter'
    case 'max_tokens':
    case 'model_context_window_exceeded':
    // The upstream stopped in the middle and would go on if asked: the answer isn't whole.
    case 'pause_turn':
      return 'length'
    // end_turn and stop_sequence, and whatever reason there will be next for a model that is done
    default:
      return 'stop'
  }
}
