// Content blocks as Anthropic's clients write them, read into our own conversation.
//
// Blocks of tools that the upstream would run itself are refused by name: their results can't be told in our words, and
// an answer that leaves them out would be a lie.
//
// Knows: Anthropic's blocks. Does not know: the rest of the body; who answers.

import { GatewayError } from '../../errors.ts'
import { markRedacted } from './redacted.ts'
import { given } from '../openai/violation.ts'
import type { CacheMark, Message, Part, Source, ToolCall } from '../../backends/conversation.ts'

interface Block {
  type: string
  [field: string]: unknown
}

export type Content = string | Block[]

interface WireMessage {
  role: 'user' | 'assistant' | 'system'
  content: Content
}

/** A turn of the user's that has results of tools in it is several messages in our words, in the order of its blocks. */
export function readMessage({ role, content }: WireMessage, path: string): Message[] {
  switch (role) {
    case 'system':
      return [{ role, content: readParts(content, `${path}.content`) }]
    case 'assistant':
      return [readAssistant(content, `${path}.content`)]
    case 'user':
      return readUser(content, `${path}.content`)
  }
}

export function readParts(content: Content, path: string): Part[] {
  if (typeof content === 'string') return [{ type: 'text', text: content }]
  return content.map((block, index) => readPart(block, `${path}[${index}]`))
}

function readUser(content: Content, path: string): Message[] {
  if (typeof content === 'string') return [{ role: 'user', content: readParts(content, path) }]
  const messages: Message[] = []
  for (const [index, block] of content.entries()) {
    const at = `${path}[${index}]`
    if (block.type === 'tool_result') {
      messages.push(readResult(block, at))
      continue
    }
    const part = readPart(block, at)
    const last = messages.at(-1)
    if (last?.role === 'user') last.content.push(part)
    else messages.push({ role: 'user', content: [part] })
  }
  return messages.length > 0 ? messages : [{ role: 'user', content: [] }]
}

function readResult(block: Block, path: string): Message {
  const { content, is_error: isError } = block
  return {
    role: 'tool',
    toolCallId: string(block, 'tool_use_id', path),
    content: content === undefined ? [] : readParts(contentOf(content, path), `${path}.content`),
    ...(isError === true && { isError }),
    ...marked(block),
  }
}

function readAssistant(content: Content, path: string): Message {
  if (typeof content === 'string') {
    return { role: 'assistant', content: readParts(content, path), toolCalls: [] }
  }
  const parts: Part[] = []
  const toolCalls: ToolCall[] = []
  const reasoning: { text: string; signature?: string }[] = []
  for (const [index, block] of content.entries()) {
    const at = `${path}[${index}]`
    switch (block.type) {
      case 'thinking': {
        const text = string(block, 'thinking', at)
        const signature = block['signature']
        // Empty where another upstream's thoughts were told in this dialect: nobody signed them.
        const isSigned = typeof signature === 'string' && signature !== ''
        reasoning.push({ text, ...(isSigned && { signature }) })
        break
      }
      case 'redacted_thinking':
        reasoning.push({ text: '', signature: markRedacted(string(block, 'data', at)) })
        break
      case 'tool_use':
        toolCalls.push({
          id: string(block, 'id', at),
          name: string(block, 'name', at),
          arguments: JSON.stringify(object(block, 'input', at)),
          ...marked(block),
        })
        break
      default:
        parts.push(readPart(block, at))
    }
  }
  return {
    role: 'assistant',
    content: parts,
    toolCalls,
    ...(reasoning.length > 0 && { reasoning }),
  }
}

function readPart(block: Block, path: string): Part {
  switch (block.type) {
    case 'text':
      return { type: 'text', text: string(block, 'text', path), ...marked(block) }
    case 'image':
      return {
        type: 'image',
        source: readSource(object(block, 'source', path), `${path}.source`),
        ...marked(block),
      }
    case 'document':
      return readDocument(block, path)
    default:
      throw unsupported(
        `${path}.type`,
        `A block of type ${given(block.type)} ('${path}') can't be honoured: there are "text", "image", "document", "tool_use", "tool_result" and "thinking".`,
      )
  }
}

function readDocument(block: Block, path: string): Part {
  for (const field of ['citations', 'context']) {
    const value = block[field]
    if (value === undefined || value === null) continue
    if (typeof value === 'object' && 'enabled' in value && value.enabled === false) continue
    throw unsupported(
      `${path}.${field}`,
      `'${path}.${field}' can't be honoured by this server: leave it out.`,
    )
  }
  const { title } = block
  return {
    type: 'file',
    source: readSource(object(block, 'source', path), `${path}.source`),
    ...(typeof title === 'string' && { name: title }),
    ...marked(block),
  }
}

function readSource(source: Record<string, unknown>, path: string): Source {
  switch (source['type']) {
    case 'base64':
      return {
        kind: 'base64',
        mediaType: string(source, 'media_type', path),
        data: string(source, 'data', path),
      }
    case 'text': {
      const data = Buffer.from(string(source, 'data', path)).toString('base64')
      return { kind: 'base64', mediaType: 'text/plain', data }
    }
    case 'url':
      return { kind: 'url', url: string(source, 'url', path) }
    case 'file':
      return { kind: 'id', id: string(source, 'file_id', path) }
    default:
      throw unsupported(
        `${path}.type`,
        `A source of type ${given(source['type'])} ('${path}') can't be honoured: there are "base64", "url", "text" and "file".`,
      )
  }
}

function contentOf(content: unknown, path: string): Content {
  if (typeof content === 'string') return content
  const isBlocks = Array.isArray(content) && content.every((block) => hasType(block))
  if (isBlocks) return content as Block[]
  throw invalid(
    `${path}.content`,
    'a string or an array of blocks, each an object with a type',
    content,
  )
}

const hasType = (block: unknown) =>
  typeof (block as { type?: unknown } | null | undefined)?.type === 'string'

export function marked({ cache_control: mark }: Record<string, unknown>): {
  cacheMark?: CacheMark
} {
  return typeof mark === 'object' && mark !== null ? { cacheMark: mark as CacheMark } : {}
}

function string(from: Record<string, unknown>, field: string, path: string): string {
  const value = from[field]
  if (typeof value === 'string') return value
  throw invalid(`${path}.${field}`, 'a string', value)
}

function object(from: Record<string, unknown>, field: string, path: string) {
  const value = from[field]
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>
  }
  throw invalid(`${path}.${field}`, 'an object', value)
}

function invalid(param: string, allowed: string, value: unknown) {
  const message = `'${param}' must be ${allowed}; got ${given(value)}.`
  return new GatewayError('invalid_type', message, { param })
}

function unsupported(param: string, message: string) {
  return new GatewayError('unsupported_parameter', message, { param })
}
