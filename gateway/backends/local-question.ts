// A question as our own engine takes it, or the refusal of what it can't honour, by name.
//
// A client that sends `tools` and gets prose has been lied to. So what would change an answer is refused, except for
// the values that ask for what happens anyway. What only tells an upstream about the client is accepted.
//
// Knows: what the engine can do. Does not know: which dialect's reader made the question, beyond its names for errors.
//
// Checklist for a capability that the engine gains: take its refusal out of here and give it a field in the request.

import { GatewayError } from '../errors.ts'
import { paramName } from './param-name.ts'
import type { Chat, Completion, Question } from './backend.ts'
import type { Message, Part } from './conversation.ts'
import type { ChatMessage, Prompt } from '../../runtime/protocol.ts'

type Harmless = (value: unknown) => boolean

const never: Harmless = () => false
const always: Harmless = () => true
const only =
  (...values: unknown[]): Harmless =>
  (value) =>
    values.includes(value)

/** what else a body may say: name → the values that may stay, as a test and in words */
const EXTRA = new Map(
  Object.entries<[Harmless, string?]>({
    modalities: [isTextOnly, '["text"]'],
    store: [only(false), 'false'],
    service_tier: [only('auto', 'default'), '"auto" or "default"'],
    suffix: [only(''), '""'],
    audio: [never],
    prediction: [never],
    web_search_options: [never],
    verbosity: [never],
    moderation: [never],
    prompt_cache_options: [never],
    // what only tells about the client, or is a hint
    metadata: [always],
    safety_identifier: [always],
    prompt_cache_key: [always],
    prompt_cache_retention: [always],
  }),
)

/** @throws GatewayError that names what can't be honoured */
export function localPrompts(question: Question): Prompt[] {
  refuseExtra(question)
  if (question.kind === 'completion') return completionPrompts(question)
  refuseTools(question)
  const messages = question.messages.map((message, index) =>
    localMessage(message, pathOf(question, index)),
  )
  return [{ kind: 'chat', messages }]
}

function refuseExtra({ extra, choices }: Question) {
  for (const [name, value] of Object.entries(extra)) {
    if (value === undefined || value === null) continue
    if (name === 'best_of') {
      refuseBestOf(value, choices)
      continue
    }
    const known = EXTRA.get(name)
    if (!known) {
      throw new GatewayError('unknown_parameter', `Unknown parameter: '${shorten(name)}'.`, {
        param: shorten(name),
      })
    }
    const [isHarmless, words] = known
    if (!isHarmless(value)) throw refuse(name, value, words)
  }
}

/** Generating more than are given back, and choosing by log-probability, is not done here. */
function refuseBestOf(value: unknown, choices: number) {
  if (value === 1 || value === choices) return
  throw refuse('best_of', value, `1 or the value of 'n' (${choices})`)
}

function completionPrompts({ prompts, echo, sampling }: Completion): Prompt[] {
  if (echo && sampling.logprobs !== undefined) {
    throw new GatewayError(
      'unsupported_parameter',
      "'logprobs' can't be honoured together with 'echo': the prompt's own are not computed.",
      { param: 'logprobs' },
    )
  }
  return prompts
}

function refuseTools({ dialect, tools, toolChoice, responseFormat, reasoningEffort }: Chat) {
  if (tools.length > 0) throw refuse('tools', tools, 'an empty array')
  if (toolChoice !== undefined && toolChoice !== 'none') {
    throw refuse('tool_choice', toolChoice, '"none"')
  }
  if (responseFormat !== undefined && responseFormat.type !== 'text') {
    throw refuse(paramName('response_format', dialect), responseFormat, '{"type": "text"}')
  }
  if (reasoningEffort !== undefined && reasoningEffort !== 'none') {
    throw refuse(paramName('reasoning_effort', dialect), reasoningEffort, '"none"')
  }
}

function localMessage(message: Message, path: string): ChatMessage {
  if (message.role === 'tool') {
    throw cantGive(`${path}.role`, `The role 'tool' of '${path}'`, 'tools are not supported')
  }
  if (message.role === 'assistant' && message.toolCalls.length > 0) {
    throw cantGive(`${path}.tool_calls`, `'${path}.tool_calls'`, 'only text can be given back')
  }
  if (message.role === 'assistant' && message.refusal !== undefined) {
    throw cantGive(`${path}.refusal`, `'${path}.refusal'`, 'only text can be given back')
  }
  const { role, name } = message
  const content = textOf(message.content, `${path}.content`)
  return name ? { role, content, name } : { role, content }
}

function textOf(parts: Part[], path: string): string {
  const texts = parts.map((part, index) => {
    if (part.type === 'text') return part.text
    const at = `${path}[${index}]`
    throw cantGive(
      `${at}.type`,
      `A part with ${article(part.type)} ('${at}')`,
      'this model reads text only',
    )
  })
  return texts.join('\n')
}

const article = (type: string) => (/^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`)

/** Positions are the client's own only in a dialect whose messages are ours, one for one. */
function pathOf({ dialect, promptParam }: Chat, index: number): string {
  return dialect === 'openai' ? `${promptParam}[${index}]` : promptParam
}

function refuse(name: string, value: unknown, words?: string): GatewayError {
  const way = words ? `leave it out or send ${words}; got ${given(value)}.` : 'leave it out.'
  return new GatewayError(
    'unsupported_parameter',
    `'${name}' can't be honoured by this model: ${way}`,
    { param: name },
  )
}

function cantGive(param: string, what: string, why: string) {
  return new GatewayError('unsupported_parameter', `${what} can't be honoured: ${why}.`, { param })
}

function isTextOnly(value: unknown): boolean {
  return Array.isArray(value) && value.length === 1 && value[0] === 'text'
}

/** A value, short enough to be quoted. */
function given(value: unknown): string {
  if (Array.isArray(value)) return `an array of ${value.length}`
  return typeof value === 'object' ? 'an object' : shorten(JSON.stringify(value))
}

const shorten = (text: string) => (text.length <= 60 ? text : `${text.slice(0, 60)}…`)
