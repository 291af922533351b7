// Messages as Gemini's API takes them: instructions apart, and turns of user and model.
//
// A result of a tool names the tool there, not the call; the name is looked up in the turns before it. What another
// model thought is not given back; the signature of a thought comes back with the call that it led to (call-id.ts).
//
// Knows: our conversations, Gemini's parts. Does not know: the rest of the body.

import { GatewayError } from '../../../errors.ts'
import { signatureIn } from './call-id.ts'
import { cantHonour, cantTake, messagePath } from '../unsupported.ts'
import { objectOf, parseJson } from '../wire-fields.ts'
import type { Chat } from '../../backend.ts'
import type { Message, Part, Source, ToolCall } from '../../conversation.ts'
import type { Fields } from '../wire-fields.ts'

interface Content {
  role: 'user' | 'model'
  parts: Fields[]
}

export interface WireContents {
  systemInstruction: { parts: Fields[] } | null
  contents: Content[]
}

/** @throws GatewayError that names what can't be said */
export function writeContents(chat: Chat): WireContents {
  const instructions: Fields[] = []
  const contents: Content[] = []
  /** tools by the ids of their calls */
  const called = new Map<string, string>()
  for (const [index, message] of chat.messages.entries()) {
    const path = messagePath(chat, index)
    if ('name' in message && message.name !== undefined) {
      throw cantHonour(`${path}.name`, 'it knows no names of participants')
    }
    const parts = writeMessage(message, path, called)
    if (message.role === 'system' || message.role === 'developer') {
      instructions.push(...parts)
      continue
    }
    const role = message.role === 'assistant' ? 'model' : 'user'
    const last = contents.at(-1)
    // Results that answer one turn of the model have to be in the one turn that follows it.
    if (last?.role === role) last.parts.push(...parts)
    else if (parts.length > 0) contents.push({ role, parts })
  }
  return {
    systemInstruction: instructions.length > 0 ? { parts: instructions } : null,
    contents,
  }
}

function writeMessage(message: Message, path: string, called: Map<string, string>): Fields[] {
  switch (message.role) {
    case 'tool':
      return [writeResult(message, path, called)]
    case 'assistant':
      for (const { id, name } of message.toolCalls) called.set(id, name)
      return [
        ...writeParts(message.content, `${path}.content`),
        ...(message.refusal ? [{ text: message.refusal }] : []),
        ...message.toolCalls.map((call, index) =>
          writeCall(call, `${path}.tool_calls[${index}].function.arguments`),
        ),
      ]
    default:
      return writeParts(message.content, `${path}.content`)
  }
}

function writeCall({ id, name, arguments: text }: ToolCall, param: string): Fields {
  const args = text.trim() === '' ? {} : objectOf(parseJson(text))
  if (!args) {
    throw new GatewayError(
      'invalid_value',
      `'${param}' must be the JSON text of an object for this model; got ${JSON.stringify(text.slice(0, 60))}.`,
      { param },
    )
  }
  const thoughtSignature = signatureIn(id)
  return { functionCall: { name, args }, ...(thoughtSignature !== null && { thoughtSignature }) }
}

function writeResult(
  message: Extract<Message, { role: 'tool' }>,
  path: string,
  called: Map<string, string>,
): Fields {
  const name = called.get(message.toolCallId)
  if (name === undefined) {
    const param = `${path}.tool_call_id`
    throw new GatewayError(
      'invalid_value',
      `'${param}' must be the id of a call in a message before it; got ${JSON.stringify(message.toolCallId.slice(0, 60))}.`,
      { param },
    )
  }
  const texts = message.content.map((part) => {
    if (part.type === 'text') return part.text
    throw cantTake(part, `${path}.content`, 'as the result of a tool it takes text')
  })
  const text = texts.join('\n')
  // The API's own two words for it; anything else in the object would be taken for a field of the result.
  return {
    functionResponse: { name, response: message.isError ? { error: text } : { output: text } },
  }
}

function writeParts(parts: Part[], path: string): Fields[] {
  return parts.flatMap((part) => {
    if (part.type === 'text' && part.text === '') return []
    return [writePart(part, path)]
  })
}

function writePart(part: Part, path: string): Fields {
  switch (part.type) {
    case 'text':
      return { text: part.text }
    case 'image':
    case 'file':
      return writeSource(part, part.source, path)
    case 'audio':
      return { inlineData: { mimeType: `audio/${part.format}`, data: part.data } }
  }
}

/** Addresses are for the upstream to fetch: nothing is ever fetched from here. */
function writeSource(part: Part, source: Source, path: string): Fields {
  switch (source.kind) {
    case 'base64':
      return { inlineData: { mimeType: source.mediaType, data: source.data } }
    case 'url': {
      const mimeType = typeByEnding(source.url)
      return { fileData: { ...(mimeType && { mimeType }), fileUri: source.url } }
    }
    case 'id':
      // What the API calls a file's id is its address; an id of another API leads nowhere.
      if (/^(https:\/\/|gs:\/\/|files\/)/.test(source.id)) {
        return { fileData: { fileUri: source.id } }
      }
      throw cantTake(part, path, 'the id is not one of its files')
  }
}

const TYPES: Partial<Record<string, string>> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  webp: 'image/webp',
  gif: 'image/gif',
  heic: 'image/heic',
  pdf: 'application/pdf',
  txt: 'text/plain',
  mp3: 'audio/mp3',
  wav: 'audio/wav',
  mp4: 'video/mp4',
}

function typeByEnding(url: string): string | undefined {
  const ending = /\.(\w+)(?:[?#]|$)/.exec(url)?.[1]?.toLowerCase()
  return ending === undefined ? undefined : TYPES[ending]
}
