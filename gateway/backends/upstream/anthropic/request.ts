// A question as the body of POST /v1/messages, or the refusal of what that API has no word for.
//
// Format: https://platform.claude.com/docs/en/api/messages
//
// Knows: our questions, Anthropic's body. Does not know: HTTP, answers. Messages are written in conversation.ts.

import { writeConversation } from './conversation.ts'
import { cantHonour, chatOnly, passExtra, refuseSampling } from '../unsupported.ts'
import { fieldsOf } from '../wire-fields.ts'
import { paramName } from '../../param-name.ts'
import type { Chat, Question } from '../../backend.ts'
import type { Tool } from '../../conversation.ts'
import type { Fields } from '../wire-fields.ts'

const MAX_TEMPERATURE = 1

/**
 * @param model as the upstream calls it
 * @param defaultMaxTokens the API wants a bound where the client gave none
 * @throws GatewayError
 */
export function writeMessagesBody(
  question: Question,
  model: string,
  defaultMaxTokens: number,
): Fields {
  const chat = chatOnly(question)
  const { sampling, maxTokens = defaultMaxTokens, stop, user, choices } = chat
  if (choices > 1) throw cantHonour('n', `it gives one answer; got ${choices}`)
  refuseSampling(sampling, ['temperature', 'topP', 'topK'])
  const { temperature, topP, topK } = sampling
  if (temperature !== undefined && temperature > MAX_TEMPERATURE) {
    throw cantHonour('temperature', `it takes 0 to ${MAX_TEMPERATURE}; got ${temperature}`)
  }
  const { output_config: outputConfig, ...extra } = passExtra(chat, 'anthropic')
  return {
    ...writeAsked(chat, model, fieldsOf(outputConfig)),
    max_tokens: maxTokens,
    ...(chat.isStreamed && { stream: true }),
    ...(temperature !== undefined && { temperature }),
    ...(topP !== undefined && { top_p: topP }),
    ...(topK !== undefined && topK > 0 && { top_k: topK }),
    ...(stop.length > 0 && { stop_sequences: stop }),
    ...(user !== undefined && { metadata: { user_id: user } }),
    ...extra,
  }
}

/** what counts as prompt, of what a client may have said in the dialect itself */
const COUNTED_EXTRA = ['thinking', 'cache_control', 'mcp_servers', 'context_management']

/** The body of POST /v1/messages/count_tokens, which takes what becomes the prompt and nothing else. */
export function writeCountBody(question: Chat, model: string): Fields {
  const { output_config: outputConfig, ...extra } = passExtra(question, 'anthropic')
  const counted = Object.entries(extra).filter(([name]) => COUNTED_EXTRA.includes(name))
  return {
    ...writeAsked(question, model, fieldsOf(outputConfig)),
    ...Object.fromEntries(counted),
  }
}

function writeAsked(chat: Chat, model: string, moreConfig: Fields): Fields {
  const { system, messages } = writeConversation(chat)
  const outputConfig = { ...moreConfig, ...writeFormat(chat), ...writeEffort(chat) }
  const { tools } = chat
  return {
    model,
    messages,
    ...(system.length > 0 && { system }),
    ...(tools.length > 0 && { tools: tools.map(writeTool) }),
    ...writeToolChoice(chat),
    ...(Object.keys(outputConfig).length > 0 && { output_config: outputConfig }),
    ...(chat.reasoningEffort === 'none' && { thinking: { type: 'disabled' } }),
  }
}

function writeTool({ name, description, parameters, strict, cacheMark }: Tool): Fields {
  return {
    name,
    ...(description !== undefined && { description }),
    // The API wants the type said, also of tools without arguments.
    input_schema: { type: 'object', ...parameters },
    ...(strict && { strict }),
    ...(cacheMark && { cache_control: cacheMark }),
  }
}

function writeToolChoice({ tools, toolChoice, parallelToolCalls }: Chat): Fields {
  if (toolChoice === 'none') return tools.length > 0 ? { tool_choice: { type: 'none' } } : {}
  const isAlone = parallelToolCalls === false && { disable_parallel_tool_use: true }
  if (typeof toolChoice === 'object') {
    return { tool_choice: { type: 'tool', name: toolChoice.name, ...isAlone } }
  }
  if (toolChoice === 'required') return { tool_choice: { type: 'any', ...isAlone } }
  // The default need not be said, and must not where there are no tools.
  if (tools.length === 0 || !isAlone) return {}
  return { tool_choice: { type: 'auto', ...isAlone } }
}

function writeFormat({ responseFormat, dialect }: Chat): Fields {
  switch (responseFormat?.type) {
    case undefined:
    case 'text':
      return {}
    case 'json_schema':
      return { format: { type: 'json_schema', schema: responseFormat.schema } }
    case 'json_object':
      throw cantHonour(
        paramName('response_format', dialect),
        'it gives JSON of a schema only, {"type": "json_schema"}; got {"type": "json_object"}',
      )
  }
}

function writeEffort({ reasoningEffort, dialect }: Chat): Fields {
  // Other words than these are the upstream's to know: there were three at first, and there are five.
  if (reasoningEffort === undefined || reasoningEffort === 'none') return {}
  if (reasoningEffort !== 'minimal') return { effort: reasoningEffort }
  throw cantHonour(
    paramName('reasoning_effort', dialect),
    'it takes "none", "low", "medium", "high" and more; got "minimal"',
  )
}
