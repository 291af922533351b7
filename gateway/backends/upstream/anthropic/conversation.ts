// Messages as Anthropic's API takes them: system prompts apart, and turns of user and assistant by turns.
//
// Results of tools are the user's there, and all that answer one turn of the assistant have to be in the one turn that
// follows it; so neighbours with the same role become one turn. A last turn of the assistant's is continued.
//
// Knows: our conversations, Anthropic's content blocks. Does not know: the rest of the body.

import { GatewayError } from '../../../errors.ts'
import { redactedData } from '../../../dialects/anthropic/redacted.ts'
import { cantHonour, cantTake, messagePath } from '../unsupported.ts'
import { objectOf, parseJson } from '../wire-fields.ts'
import type { Chat } from '../../backend.ts'
import type { CacheMark, Message, Part, Source, ToolCall } from '../../conversation.ts'
import type { Fields } from '../wire-fields.ts'

interface Turn {
  role: 'user' | 'assistant' | 'system'
  content: Fields[]
}

export interface WireConversation {
  system: Fields[]
  messages: Turn[]
}

/** @throws GatewayError that names what can't be said */
export function writeConversation(chat: Chat): WireConversation {
  const system: Fields[] = []
  const messages: Turn[] = []
  for (const [index, message] of chat.messages.entries()) {
    const path = messagePath(chat, index)
    if ('name' in message && message.name !== undefined) {
      throw cantHonour(`${path}.name`, 'it knows no names of participants')
    }
    if (isInstruction(message)) {
      const content = writeParts(message.content, `${path}.content`)
      // Only some models take one in the middle, and only who speaks their dialect can know which do.
      const isInPlace = chat.dialect === 'anthropic' && messages.length > 0
      if (isInPlace) messages.push({ role: 'system', content })
      else system.push(...content)
      continue
    }
    const role = message.role === 'assistant' ? 'assistant' : 'user'
    const content = writeMessage(message, path)
    const last = messages.at(-1)
    if (last?.role === role) last.content.push(...content)
    // An assistant that said nothing has no turn; the API refuses an empty one.
    else if (content.length > 0 || role === 'user') messages.push({ role, content })
  }
  return { system, messages }
}

type Instruction = Extract<Message, { role: 'system' | 'developer' }>

function isInstruction(message: Message): message is Instruction {
  return message.role === 'system' || message.role === 'developer'
}

function writeMessage(message: Exclude<Message, Instruction>, path: string): Fields[] {
  switch (message.role) {
    case 'user':
      return writeParts(message.content, `${path}.content`)
    case 'tool':
      return [
        {
          type: 'tool_result',
          tool_use_id: message.toolCallId,
          content: writeParts(message.content, `${path}.content`),
          ...(message.isError && { is_error: true }),
          ...marked(message.cacheMark),
        },
      ]
    case 'assistant':
      return [
        ...writeReasoning(message.reasoning),
        ...writeParts(message.content, `${path}.content`),
        ...(message.refusal ? [{ type: 'text', text: message.refusal }] : []),
        ...message.toolCalls.map((call, index) =>
          writeToolCall(call, `${path}.tool_calls[${index}]`),
        ),
      ]
  }
}

/** Thoughts that nobody signed are another model's; this one takes back only its own. */
function writeReasoning(reasoning: { text: string; signature?: string }[] = []): Fields[] {
  return reasoning.flatMap(({ text, signature }): Fields[] => {
    if (signature === undefined) return []
    const data = redactedData(signature)
    return data === null
      ? [{ type: 'thinking', thinking: text, signature }]
      : [{ type: 'redacted_thinking', data }]
  })
}

function writeToolCall({ id, name, arguments: text, cacheMark }: ToolCall, path: string): Fields {
  const input = text.trim() === '' ? {} : objectOf(parseJson(text))
  if (!input) {
    const param = `${path}.function.arguments`
    throw new GatewayError(
      'invalid_value',
      `'${param}' must be the JSON text of an object for this model; got ${JSON.stringify(text.slice(0, 60))}.`,
      { param },
    )
  }
  return { type: 'tool_use', id, name, input, ...marked(cacheMark) }
}

function writeParts(parts: Part[], path: string): Fields[] {
  return parts.flatMap((part) => {
    // The API refuses empty texts, and they say nothing.
    if (part.type === 'text' && part.text === '') return []
    return [writePart(part, path)]
  })
}

function writePart(part: Part, path: string): Fields {
  switch (part.type) {
    case 'text':
      return { type: 'text', text: part.text, ...marked(part.cacheMark) }
    case 'image':
      return { type: 'image', source: writeSource(part.source), ...marked(part.cacheMark) }
    case 'audio':
      throw cantTake(part, path, 'it takes texts, images and documents')
    case 'file':
      return writeFile(part, path)
  }
}

function writeFile(part: Extract<Part, { type: 'file' }>, path: string): Fields {
  const { source, name, cacheMark } = part
  const type = source.kind === 'base64' ? source.mediaType : 'application/pdf'
  if (type.startsWith('image/')) {
    return { type: 'image', source: writeSource(source), ...marked(cacheMark) }
  }
  const isText = type.startsWith('text/')
  if (!isText && type !== 'application/pdf') {
    throw cantTake(part, path, `as files it takes PDF, text and images; got ${type.slice(0, 60)}`)
  }
  return {
    type: 'document',
    source: isText ? writeText(source) : writeSource(source),
    ...(name !== undefined && { title: name }),
    ...marked(cacheMark),
  }
}

function writeSource(source: Source): Fields {
  switch (source.kind) {
    case 'url':
      return { type: 'url', url: source.url }
    case 'base64':
      return { type: 'base64', media_type: source.mediaType, data: source.data }
    case 'id':
      return { type: 'file', file_id: source.id }
  }
}

/** A document of text is sent as the text, and as text/plain whatever its kind. */
function writeText(source: Source): Fields {
  const data = source.kind === 'base64' ? Buffer.from(source.data, 'base64').toString() : ''
  return { type: 'text', media_type: 'text/plain', data }
}

const marked = (cacheMark: CacheMark | undefined) => cacheMark && { cache_control: cacheMark }
