// Answers of POST /v1/messages: events and bodies.
//
// The dialect tells an answer as a row of blocks, of which one is open at a time; ours are pieces of texts, thoughts and
// calls in any order. So a piece of another kind than the open block closes it and opens the next.
//
// Format: https://platform.claude.com/docs/en/build-with-claude/streaming

import { GatewayError } from '../../errors.ts'
import { anthropicErrorFrame } from './error.ts'
import { redactedData } from './redacted.ts'
import type { AnswerUsage, FinishReason } from '../../backends/backend.ts'
import type { ToolCall } from '../../backends/conversation.ts'
import type { AnswerFormat, AnswerIdentity, Choice, PromptCount } from '../dialect.ts'

export function messageAnswer(identity: AnswerIdentity): AnswerFormat {
  const blocks = new Blocks()
  let end: Ending = { reason: 'stop', stopSequence: null, refusal: null, hasCalls: false }

  return {
    ping: PING,
    opening: (count) =>
      frame('message_start', { type: 'message_start', message: openMessage(identity, count()) }) +
      PING,
    delta: (_choice, text) => blocks.text(text),
    reasoning: (_choice, text, signature) => blocks.reasoning(text, signature),
    refusal(_choice, text) {
      // Told with the reason, at the end: the dialect has no block for it.
      end = { ...end, refusal: (end.refusal ?? '') + text }
      return ''
    },
    toolCall(_choice, index, id, name) {
      end = { ...end, hasCalls: true }
      return blocks.call(index, id, name)
    },
    toolArguments: (_choice, index, text) => blocks.arguments(index, text),
    finish(_choice, reason, stopSequence) {
      end = { ...end, reason, stopSequence: stopSequence ?? null }
      return blocks.close()
    },
    ending: (usage) =>
      frame('message_delta', {
        type: 'message_delta',
        delta: { ...stopOf(end), container: null },
        usage: usageBody(usage),
      }) + frame('message_stop', { type: 'message_stop' }),
    failure: (error) => anthropicErrorFrame(error, identity.id),
    whole: ([answer], usage) => wholeMessage(identity, answer, usage),
  }
}

type Kind = 'text' | 'thinking' | 'redacted_thinking' | 'tool_use'

interface Block {
  type: Kind
  [field: string]: unknown
}

class Blocks {
  #next = 0
  #open: Kind | null = null
  /** starts of the frames of deltas that the open block gets, up to the text */
  #deltaStart = ''
  /** indexes of blocks, by those of their calls */
  readonly #calls: number[] = []

  text(text: string): string {
    // An empty piece says that a token was counted, and not that a text begins.
    if (text === '') return ''
    const opening = this.#as('text', { type: 'text', text: '', citations: null })
    return `${opening}${this.#deltaStart}${JSON.stringify(text)}}}\n\n`
  }

  reasoning(text: string, signature: string | undefined): string {
    const data = signature === undefined ? null : redactedData(signature)
    if (data !== null) {
      return this.#start({ type: 'redacted_thinking', data }) + this.close()
    }
    const opening = this.#as('thinking', { type: 'thinking', thinking: '', signature: '' })
    const thought = text === '' ? '' : `${this.#deltaStart}${JSON.stringify(text)}}}\n\n`
    if (signature === undefined) return opening + thought
    const signed = delta(this.#next - 1, { type: 'signature_delta', signature })
    return opening + thought + signed + this.close()
  }

  call(index: number, id: string, name: string): string {
    this.#calls[index] = this.#next
    return this.#start({ type: 'tool_use', id, name, input: {}, caller: DIRECT })
  }

  arguments(index: number, text: string): string {
    if (text === '') return ''
    return delta(this.#calls[index] ?? 0, { type: 'input_json_delta', partial_json: text })
  }

  close(): string {
    if (this.#open === null) return ''
    this.#open = null
    const index = this.#next - 1
    return frame('content_block_stop', { type: 'content_block_stop', index })
  }

  #as(kind: 'text' | 'thinking', block: Block): string {
    if (this.#open === kind) return ''
    const opening = this.#start(block)
    const field = kind === 'text' ? '"text_delta","text":' : '"thinking_delta","thinking":'
    this.#deltaStart = `event: content_block_delta\ndata: {"type":"content_block_delta","index":${this.#next - 1},"delta":{"type":${field}`
    return opening
  }

  /** Closes what is open. */
  #start(block: Block): string {
    const closing = this.close()
    this.#open = block.type
    const start = { type: 'content_block_start', index: this.#next++, content_block: block }
    return closing + frame('content_block_start', start)
  }
}

/** who called a tool: the model itself, and not a program that it wrote */
const DIRECT = { type: 'direct' }

function frame(event: string, data: object): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`
}

function delta(index: number, piece: object): string {
  return frame('content_block_delta', { type: 'content_block_delta', index, delta: piece })
}

const PING = frame('ping', { type: 'ping' })

interface Ending {
  reason: FinishReason
  /** null also where a stop string ended it and nobody tells: most of the other dialects can't */
  stopSequence: string | null
  refusal: string | null
  hasCalls: boolean
}

function stopOf({ reason, stopSequence, refusal, hasCalls }: Ending) {
  const isRefused = refusal !== null || reason === 'content_filter'
  return {
    stop_reason: isRefused ? 'refusal' : stopReasonOf(reason, stopSequence, hasCalls),
    stop_sequence: isRefused ? null : stopSequence,
    stop_details: isRefused ? { type: 'refusal', category: null, explanation: refusal } : null,
  }
}

function stopReasonOf(reason: FinishReason, stopSequence: string | null, hasCalls: boolean) {
  if (reason !== 'stop') return STOP_REASONS[reason]
  // Some servers say of a call that was forced that the answer just stopped.
  if (hasCalls) return STOP_REASONS.tool_calls
  return stopSequence === null ? STOP_REASONS.stop : 'stop_sequence'
}

const STOP_REASONS: Record<FinishReason, string> = {
  stop: 'end_turn',
  length: 'max_tokens',
  tool_calls: 'tool_use',
  content_filter: 'refusal',
}

/** What is estimated now is known at the end: clients take the last count for the right one. */
function openMessage(identity: AnswerIdentity, prompt: PromptCount) {
  return {
    ...head(identity),
    content: [],
    stop_reason: null,
    stop_sequence: null,
    stop_details: null,
    usage: usageBody({ ...prompt, completionTokens: 0 }),
  }
}

function head({ id, model }: AnswerIdentity) {
  return {
    id: `msg_${id}`,
    type: 'message',
    role: 'assistant',
    model,
    container: null,
    diagnostics: null,
  }
}

function wholeMessage(
  identity: AnswerIdentity,
  answer: Choice | undefined,
  usage: AnswerUsage,
): string {
  if (!answer) throw new Error('An answer has no choice. This is a bug.')
  const { text, reasoning, refusal, toolCalls, finishReason: reason, stopSequence } = answer
  return JSON.stringify({
    ...head(identity),
    content: [
      ...reasoning.map(thinkingBlock),
      ...(text === '' ? [] : [{ type: 'text', text, citations: null }]),
      ...toolCalls.map(toolBlock),
    ],
    ...stopOf({ reason, stopSequence, refusal, hasCalls: toolCalls.length > 0 }),
    usage: usageBody(usage),
  })
}

function thinkingBlock({ text, signature = '' }: { text: string; signature?: string }) {
  const data = redactedData(signature)
  return data === null
    ? { type: 'thinking', thinking: text, signature }
    : { type: 'redacted_thinking', data }
}

function toolBlock({ id, name, arguments: text }: ToolCall) {
  return { type: 'tool_use', id, name, input: readInput(name, text), caller: DIRECT }
}

/** In this dialect the input of a call is an object and not a text: what is none can't be told. */
function readInput(name: string, text: string): unknown {
  try {
    const input: unknown = text.trim() === '' ? {} : JSON.parse(text)
    if (typeof input === 'object' && input !== null) return input
  } catch {
    // Told below.
  }
  throw new GatewayError(
    'upstream_malformed',
    `The model called '${name}' with arguments that are no JSON object; 'max_tokens' may have cut them off.`,
  )
}

function usageBody(usage: AnswerUsage) {
  const { promptTokens, cachedTokens, cacheWriteTokens = 0, completionTokens } = usage
  return {
    input_tokens: promptTokens - cachedTokens - cacheWriteTokens,
    cache_creation_input_tokens: cacheWriteTokens,
    cache_read_input_tokens: cachedTokens,
    output_tokens: completionTokens,
    output_tokens_details:
      usage.reasoningTokens === undefined ? null : { thinking_tokens: usage.reasoningTokens },
    server_tool_use: null,
  }
}
