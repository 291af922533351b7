// Items → the conversation that they are.
//
// The API writes one turn of the model as several items: thoughts, a message, calls. Here they are one message again.
//
// Knows: items, spelt out. Does not know: which of them came with this request and which were kept.

import { GatewayError } from '../../errors.ts'
import type {
  FunctionCall,
  FunctionCallOutput,
  InputPart,
  Item,
  OutputPart,
  Reasoning,
} from './item.ts'
import type { Message, Part, Source } from '../../backends/conversation.ts'

type AssistantMessage = Extract<Message, { role: 'assistant' }>

/**
 * @param kept how many of the items are from earlier responses, so that errors name the others by their place
 * @throws GatewayError for an item that is there twice, and where a call and its output don't find each other
 */
export function conversationOf(
  instructions: string | null,
  items: Item[],
  kept: number,
): Message[] {
  refuseTwice(items, kept)
  const answered = pairCalls(items, kept)
  const turns = new Turns()
  if (instructions !== null) {
    turns.others({ role: 'system', content: [{ type: 'text', text: instructions }] })
  }
  for (const item of items) {
    switch (item.type) {
      case 'reasoning': {
        const turn = turns.models((begun) => hasContent(begun) || begun.toolCalls.length > 0)
        turn.reasoning ??= []
        turn.reasoning.push(thoughtOf(item))
        break
      }
      case 'message':
        if (item.role === 'assistant') say(turns.models(hasContent), item.content)
        else turns.others({ role: item.role, content: item.content.map(partOf) })
        break
      case 'function_call': {
        // One that was cut and never answered can't be given back: its arguments are half a text.
        if (item.status !== 'completed' && !answered.has(item.call_id)) break
        const { call_id: id, name, arguments: text } = item
        turns.models(() => false).toolCalls.push({ id, name, arguments: text })
        break
      }
      case 'function_call_output':
        turns.others(outputOf(item))
    }
  }
  return turns.messages
}

/** Who speaks when: what the model says in one go is one message. */
class Turns {
  readonly messages: Message[] = []
  #models: AssistantMessage | null = null

  others(message: Message) {
    this.#models = null
    this.messages.push(message)
  }

  /** @param isOver what comes next can't be part of a turn that has come so far */
  models(isOver: (begun: AssistantMessage) => boolean): AssistantMessage {
    if (this.#models && !isOver(this.#models)) return this.#models
    this.#models = { role: 'assistant', content: [], toolCalls: [] }
    this.messages.push(this.#models)
    return this.#models
  }
}

/** Who gives back what is kept has it twice in the conversation, and a model that is told so answers oddly. */
function refuseTwice(items: Item[], kept: number) {
  const ids = new Set<string>()
  for (const [index, { id }] of items.entries()) {
    if (ids.has(id)) {
      throw new GatewayError(
        'invalid_value',
        `The item '${id}' is in the conversation already: what earlier responses said is not sent again.`,
        { param: `input[${index - kept}]` },
      )
    }
    ids.add(id)
  }
}

/** @returns ids of the calls that have an output */
function pairCalls(items: Item[], kept: number): Set<string> {
  const calls = new Map<string, FunctionCall>()
  const answered = new Set<string>()
  for (const [index, item] of items.entries()) {
    if (item.type === 'function_call') calls.set(item.call_id, item)
    if (item.type !== 'function_call_output') continue
    answered.add(item.call_id)
    if (calls.has(item.call_id)) continue
    throw new GatewayError(
      'invalid_value',
      `There is no function call with the call_id '${item.call_id}' before its output.`,
      { param: `input[${index - kept}].call_id` },
    )
  }
  for (const { call_id: id, status } of calls.values()) {
    if (answered.has(id) || status !== 'completed') continue
    throw new GatewayError(
      'invalid_value',
      `There is no output for the function call with the call_id '${id}': send an item of type "function_call_output".`,
      { param: 'input' },
    )
  }
  return answered
}

const hasContent = ({ content, refusal }: AssistantMessage) =>
  content.length > 0 || refusal !== undefined

function say(message: AssistantMessage, parts: OutputPart[]) {
  for (const part of parts) {
    if (part.type === 'refusal') message.refusal = (message.refusal ?? '') + part.refusal
    else message.content.push({ type: 'text', text: part.text })
  }
}

function thoughtOf({ summary, content, encrypted_content: signature }: Reasoning) {
  // The thoughts themselves where they are known, and what was told of them otherwise.
  const texts = content && content.length > 0 ? content : summary
  const text = texts.map((part) => part.text).join('\n')
  return signature === undefined ? { text } : { text, signature }
}

function outputOf({ call_id: toolCallId, output }: FunctionCallOutput): Message {
  const content: Part[] =
    typeof output === 'string' ? [{ type: 'text', text: output }] : output.map(partOf)
  return { role: 'tool', toolCallId, content }
}

function partOf(part: InputPart): Part {
  switch (part.type) {
    case 'input_text':
      return { type: 'text', text: part.text }
    case 'input_image': {
      const source = sourceOf({ id: part.file_id, url: part.image_url })
      return { type: 'image', source, detail: part.detail }
    }
    case 'input_file': {
      const { file_id: id, file_url: url, file_data: data, filename } = part
      const source = sourceOf({ id, url, data })
      return filename === undefined
        ? { type: 'file', source }
        : { type: 'file', source, name: filename }
    }
  }
}

interface Given {
  id: string | undefined
  url: string | undefined
  /** base64, with or without the prefix of a data URL */
  data?: string | undefined
}

function sourceOf({ id, url, data }: Given): Source {
  if (id !== undefined) return { kind: 'id', id }
  const text = data ?? url ?? ''
  const head = /^data:([\w.+-]+\/[\w.+-]+)(?:;[\w.+-]+=[^;,]*)*;base64,/i.exec(text)
  if (head?.[1]) {
    return { kind: 'base64', mediaType: head[1], data: text.slice(head[0].length) }
  }
  // Clients send a file's bare bytes for PDF, the one kind that every model that takes files can read.
  return data === undefined
    ? { kind: 'url', url: text }
    : { kind: 'base64', mediaType: 'application/pdf', data }
}
