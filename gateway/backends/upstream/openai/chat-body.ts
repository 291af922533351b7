// A conversation as chat completions take it.
//
// Knows: the wire format's request side. Does not know: HTTP, which server it is beyond the options here.

import { GatewayError } from '../../../errors.ts'
import { generationBody, refuseExtra } from './generation-body.ts'
import type { Chat } from '../../backend.ts'
import type { Message, Part, ResponseFormat, Source, ToolChoice } from '../../conversation.ts'
import type { WireOptions } from './generation-body.ts'

/** @throws GatewayError that names what chat completions can't say */
export function chatBody(chat: Chat, model: string, options: WireOptions): object {
  const { logprobs } = chat.sampling
  return {
    ...extraOf(chat),
    ...generationBody(chat, model, options, options.maxTokensField),
    messages: chat.messages.map((message) => wireMessage(message, chat.promptParam, options)),
    ...(logprobs !== undefined && { logprobs: true, top_logprobs: logprobs }),
    ...(chat.tools.length > 0 && { tools: chat.tools.map(wireTool) }),
    ...(chat.toolChoice !== undefined && { tool_choice: wireToolChoice(chat.toolChoice) }),
    ...(chat.parallelToolCalls !== undefined && { parallel_tool_calls: chat.parallelToolCalls }),
    ...(chat.responseFormat && { response_format: wireFormat(chat.responseFormat) }),
    ...(chat.reasoningEffort !== undefined && { reasoning_effort: chat.reasoningEffort }),
  }
}

/** What an answer of ours has no words for: whoever asks for it would not get it. */
const UNTELLABLE = new Map(
  Object.entries<(value: unknown) => boolean>({
    audio: () => true,
    modalities: (value) => !(Array.isArray(value) && value.length === 1 && value[0] === 'text'),
    functions: () => true,
    function_call: () => true,
  }),
)

/** What OpenAI's Responses API says beside the conversation, and what chat completions call it. */
const NAMES_OF_RESPONSES = new Map(
  Object.entries({
    'text.verbosity': 'verbosity',
    prompt_cache_key: 'prompt_cache_key',
    prompt_cache_retention: 'prompt_cache_retention',
  }),
)

function extraOf(chat: Chat): Chat['extra'] {
  if (chat.dialect !== 'openai-responses') {
    refuseExtra(chat, UNTELLABLE)
    return chat.extra
  }
  const extra: Chat['extra'] = {}
  for (const [name, value] of Object.entries(chat.extra)) {
    const counterpart = NAMES_OF_RESPONSES.get(name)
    if (counterpart === undefined) {
      refuseExtra({ extra: { [name]: value }, dialect: chat.dialect })
    } else {
      extra[counterpart] = value
    }
  }
  return extra
}

function wireMessage(
  message: Message,
  param: string,
  { reasoningField, hasDeveloperRole }: WireOptions,
): object {
  const { role } = message
  const content = wireContent(message.content, param)
  switch (role) {
    case 'system':
    case 'developer':
    case 'user':
      return {
        role: role === 'developer' && !hasDeveloperRole ? 'system' : role,
        content,
        ...(message.name !== undefined && { name: message.name }),
      }
    case 'tool':
      return { role, tool_call_id: message.toolCallId, content }
    case 'assistant': {
      const { toolCalls, refusal, reasoning, name } = message
      const isSilent = message.content.length === 0
      return {
        role,
        content: isSilent ? null : content,
        ...(name !== undefined && { name }),
        ...(refusal !== undefined && { refusal }),
        ...(toolCalls.length > 0 && {
          tool_calls: toolCalls.map((call) => ({
            id: call.id,
            type: 'function',
            function: { name: call.name, arguments: call.arguments },
          })),
        }),
        ...(reasoningField !== null &&
          reasoning && { [reasoningField]: reasoning.map(({ text }) => text).join('') }),
      }
    }
  }
}

/** A text alone goes as a string: servers that know no parts are many. */
function wireContent(parts: Part[], param: string): string | object[] {
  const [first] = parts
  if (!first) return ''
  if (parts.length === 1 && first.type === 'text') return first.text
  return parts.map((part) => wirePart(part, param))
}

function wirePart(part: Part, param: string): object {
  switch (part.type) {
    case 'text':
      return { type: 'text', text: part.text }
    case 'image': {
      const { source, detail } = part
      if (source.kind === 'id') throw cantSay('an image that was uploaded before', param)
      const url = urlOf(source)
      return { type: 'image_url', image_url: { url, ...(detail !== undefined && { detail }) } }
    }
    case 'audio':
      return { type: 'input_audio', input_audio: { data: part.data, format: part.format } }
    case 'file': {
      const { source, name } = part
      if (source.kind === 'url') throw cantSay('a file by its address', param)
      const given = source.kind === 'id' ? { file_id: source.id } : { file_data: urlOf(source) }
      return { type: 'file', file: { ...given, ...(name !== undefined && { filename: name }) } }
    }
  }
}

function urlOf(source: Exclude<Source, { kind: 'id' }>): string {
  return source.kind === 'url' ? source.url : `data:${source.mediaType};base64,${source.data}`
}

function cantSay(what: string, param: string): GatewayError {
  return new GatewayError(
    'unsupported_parameter',
    `The upstream that answers for this model does not take ${what}.`,
    { param },
  )
}

function wireTool({ name, description, parameters, strict }: Chat['tools'][number]): object {
  return {
    type: 'function',
    function: {
      name,
      ...(description !== undefined && { description }),
      parameters,
      ...(strict !== undefined && { strict }),
    },
  }
}

function wireToolChoice(choice: ToolChoice): unknown {
  return typeof choice === 'string' ? choice : { type: 'function', function: { name: choice.name } }
}

function wireFormat(format: ResponseFormat): object {
  if (format.type !== 'json_schema') return { type: format.type }
  const { name, description, schema, strict } = format
  return {
    type: 'json_schema',
    json_schema: {
      name,
      ...(description !== undefined && { description }),
      schema,
      ...(strict !== undefined && { strict }),
    },
  }
}
