// One message of a conversation as OpenAI writes it: its schema, and how it is read.

import { Type } from 'typebox'

import { GatewayError } from '../../errors.ts'
import { given } from './violation.ts'
import type { Static } from 'typebox'
import type { Message, Part, ToolCall } from '../../backends/conversation.ts'

interface ContentPart {
  type: string
  [field: string]: unknown
}

export const ChatMessage = Type.Object(
  {
    role: Type.Unsafe<'system' | 'developer' | 'user' | 'assistant' | 'tool' | 'function'>({
      title: '"system", "developer", "user", "assistant" or "tool"',
      type: 'string',
      enum: ['system', 'developer', 'user', 'assistant', 'tool', 'function'],
    }),
    content: Type.Optional(
      Type.Unsafe<string | ContentPart[] | null>({
        title: 'a string or an array of parts, each an object with a type',
        anyOf: [
          { type: 'string' },
          {
            type: 'array',
            items: {
              type: 'object',
              properties: { type: { type: 'string' } },
              required: ['type'],
            },
          },
          { type: 'null' },
        ],
      }),
    ),
    name: Type.Optional(Type.Unsafe<string | null>({ type: ['string', 'null'], maxLength: 256 })),
    refusal: Type.Optional(Type.Unsafe<string | null>({ type: ['string', 'null'] })),
    tool_calls: Type.Optional(
      Type.Unsafe<WireToolCall[] | null>({
        title: 'an array of calls, each with an id and a function',
        type: ['array', 'null'],
        items: {
          type: 'object',
          properties: { id: { type: 'string' }, function: { type: 'object' } },
          required: ['id', 'function'],
        },
      }),
    ),
    tool_call_id: Type.Optional(Type.Unsafe<string | null>({ type: ['string', 'null'] })),
    // What clients give back from an earlier answer.
    annotations: Type.Optional(Type.Unknown()),
    audio: Type.Optional(Type.Unknown()),
    function_call: Type.Optional(Type.Unknown()),
    reasoning_content: Type.Optional(Type.Unsafe<string | null>({ type: ['string', 'null'] })),
  },
  { additionalProperties: false },
)

interface WireToolCall {
  id: string
  function: { name?: unknown; arguments?: unknown }
}

type WireMessage = Static<typeof ChatMessage>

export function readMessage(message: WireMessage, index: number): Message {
  const path = `messages[${index}]`
  const { role } = message
  const name = message.name ?? undefined
  for (const field of ['audio', 'function_call'] as const) {
    if (message[field] === undefined || message[field] === null) continue
    throw unsupported(`${path}.${field}`, `'${path}.${field}'`, "it can't be given back")
  }
  switch (role) {
    case 'system':
    case 'developer':
    case 'user':
      return { role, content: readContent(message, path), ...(name && { name }) }
    case 'assistant':
      return readAssistant(message, path)
    case 'tool':
      if (!message.tool_call_id) throw missing(`${path}.tool_call_id`, 'the id of the call')
      return { role, toolCallId: message.tool_call_id, content: readContent(message, path) }
    case 'function':
      throw unsupported(
        `${path}.role`,
        `The role 'function' of '${path}'`,
        "'tool' has taken its place",
      )
  }
}

function readAssistant(message: WireMessage, path: string): Message {
  const toolCalls = (message.tool_calls ?? []).map((call, index) =>
    readToolCall(call, `${path}.tool_calls[${index}]`),
  )
  const { name, refusal, content, reasoning_content: reasoning } = message
  const isEmpty = content === undefined || content === null
  // A call or a refusal is an answer too; where there is neither, a message without content is a mistake.
  const says = isEmpty && (toolCalls.length > 0 || refusal) ? [] : readContent(message, path)
  return {
    role: 'assistant',
    content: says,
    toolCalls,
    ...(name && { name }),
    ...(refusal && { refusal }),
    ...(reasoning && { reasoning: [{ text: reasoning }] }),
  }
}

function readToolCall({ id, function: called }: WireToolCall, path: string): ToolCall {
  const { name, arguments: text } = called
  if (typeof name !== 'string') throw invalid(`${path}.function.name`, 'a string', name)
  if (typeof text !== 'string') throw invalid(`${path}.function.arguments`, 'JSON text', text)
  return { id, name, arguments: text }
}

function readContent({ content }: WireMessage, path: string): Part[] {
  if (content === undefined || content === null) {
    throw missing(`${path}.content`, 'a string or an array of parts')
  }
  if (typeof content === 'string') return [{ type: 'text', text: content }]
  return content.map((part, index) => readPart(part, `${path}.content[${index}]`))
}

function readPart(part: ContentPart, path: string): Part {
  switch (part.type) {
    case 'text':
    case 'refusal':
      return { type: 'text', text: string(part, part.type, path) }
    case 'image_url':
      return readImage(part, path)
    case 'input_audio': {
      const audio = object(part, 'input_audio', path)
      const data = string(audio, 'data', `${path}.input_audio`)
      return { type: 'audio', data, format: string(audio, 'format', `${path}.input_audio`) }
    }
    case 'file':
      return readFile(object(part, 'file', path), `${path}.file`)
    default:
      throw unsupported(
        `${path}.type`,
        `A part of type ${given(part.type)} ('${path}')`,
        'there are "text", "image_url", "input_audio" and "file"',
      )
  }
}

function readImage(part: ContentPart, path: string): Part {
  const image = object(part, 'image_url', path)
  const url = string(image, 'url', `${path}.image_url`)
  const { detail } = image
  return {
    type: 'image',
    source: readDataUrl(url) ?? { kind: 'url', url },
    ...(typeof detail === 'string' && { detail }),
  }
}

function readFile(file: Record<string, unknown>, path: string): Part {
  const name = typeof file['filename'] === 'string' ? { name: file['filename'] } : {}
  if (typeof file['file_id'] === 'string') {
    return { type: 'file', source: { kind: 'id', id: file['file_id'] }, ...name }
  }
  const data = string(file, 'file_data', path)
  const source = readDataUrl(data) ?? {
    kind: 'base64' as const,
    mediaType: 'application/pdf',
    data,
  }
  return { type: 'file', source, ...name }
}

/** `data:image/png;base64,…`; null for any other address */
function readDataUrl(url: string) {
  const head = /^data:([\w.+-]+\/[\w.+-]+);base64,/i.exec(url)
  if (!head?.[1]) return null
  return { kind: 'base64' as const, mediaType: head[1], data: url.slice(head[0].length) }
}

function string(from: Record<string, unknown>, field: string, path: string): string {
  const value = from[field]
  if (typeof value !== 'string') throw invalid(`${path}.${field}`, 'a string', value)
  return value
}

function object(from: Record<string, unknown>, field: string, path: string) {
  const value = from[field]
  if (typeof value !== 'object' || value === null) {
    throw invalid(`${path}.${field}`, 'an object', value)
  }
  return value as Record<string, unknown>
}

function invalid(param: string, allowed: string, value: unknown) {
  return new GatewayError('invalid_type', `'${param}' must be ${allowed}; got ${given(value)}.`, {
    param,
  })
}

function missing(param: string, what: string) {
  return new GatewayError(
    'missing_required_parameter',
    `Missing required parameter: '${param}' (${what}).`,
    { param },
  )
}

function unsupported(param: string, what: string, why: string) {
  return new GatewayError('unsupported_parameter', `${what} can't be honoured: ${why}.`, { param })
}
