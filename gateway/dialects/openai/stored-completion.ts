// Stored completions as OpenAI's API tells them, made of what the exchange log keeps.
//
// What the log doesn't keep is not told: log-probabilities, thoughts, and which part of an answer was a refusal.

import { Type } from 'typebox'

import { joinSystemPrompt } from '../../db/system-prompts.ts'
import { GatewayError } from '../../errors.ts'
import { ChatCompletion } from './responses.ts'
import { usageBody } from './usage.ts'
import type { StoredCompletion } from '../../db/stored-completions.ts'

export const ChatCompletionList = Type.Object({
  object: Type.Literal('list'),
  data: Type.Array(ChatCompletion),
  first_id: Type.String(),
  last_id: Type.String(),
  has_more: Type.Boolean(),
})

export const ChatMessageList = Type.Object({
  object: Type.Literal('list'),
  data: Type.Array(
    Type.Object(
      { id: Type.String(), role: Type.String(), content: Type.Unknown() },
      { additionalProperties: true },
    ),
  ),
  first_id: Type.String(),
  last_id: Type.String(),
  has_more: Type.Boolean(),
})

export const DeletedChatCompletion = Type.Object({
  object: Type.Literal('chat.completion.deleted'),
  id: Type.String(),
  deleted: Type.Boolean(),
})

/** What OpenAI gives back of what was asked. */
const TOLD_PARAMETERS = [
  'temperature',
  'top_p',
  'seed',
  'presence_penalty',
  'frequency_penalty',
  'tools',
  'tool_choice',
  'response_format',
]

const completionId = (id: string) => `chatcmpl-${id}`

export function storedCompletionBody(stored: StoredCompletion) {
  const { answer, toolCalls, finishReasons, parameters } = stored
  const count = Math.max(1, ...[answer, toolCalls, finishReasons].map((all) => all?.length ?? 0))
  return {
    id: completionId(stored.id),
    object: 'chat.completion' as const,
    created: Math.floor(stored.startedAt.getTime() / 1000),
    model: stored.requestedModel ?? '',
    system_fingerprint: stored.version ?? '',
    request_id: stored.id,
    metadata: stored.metadata ?? {},
    choices: Array.from({ length: count }, (_, index) => ({
      index,
      message: messageOf(stored, index),
      logprobs: null,
      finish_reason: finishReasons?.[index] || 'stop',
    })),
    usage: usageBody({
      promptTokens: stored.promptTokens ?? 0,
      completionTokens: stored.completionTokens ?? 0,
      cachedTokens: stored.cachedTokens ?? 0,
    }),
    ...Object.fromEntries(TOLD_PARAMETERS.map((name) => [name, parameters?.[name] ?? null])),
    input_user: parameters?.['user'] ?? null,
  }
}

function messageOf({ answer, toolCalls }: StoredCompletion, index: number) {
  const text = answer?.[index] ?? ''
  const calls = toolCalls?.[index] ?? []
  return {
    role: 'assistant' as const,
    content: text === '' && calls.length > 0 ? null : text,
    refusal: null,
    annotations: [],
    ...(calls.length > 0 && {
      tool_calls: calls.map((call) => ({
        id: call.id,
        type: 'function' as const,
        function: { name: call.name, arguments: call.arguments },
      })),
    }),
  }
}

interface Paging {
  limit: number
  order: 'asc' | 'desc'
  after: string | undefined
}

/** The messages that it was asked with, as they were sent. */
export function storedMessagesBody(stored: StoredCompletion, { limit, order, after }: Paging) {
  const { prompt } = joinSystemPrompt(stored, stored.systemPrompt ?? '')
  const sent = Array.isArray(prompt) ? (prompt as Record<string, unknown>[]) : []
  const messages = sent.map((message, index) => messageBody(message, stored.id, index))
  const ordered = order === 'asc' ? messages : messages.toReversed()
  const before = after === undefined ? -1 : ordered.findIndex(({ id }) => id === after)
  if (after !== undefined && before < 0) {
    throw new GatewayError(
      'invalid_value',
      `'after' must be the id of one of the messages; got '${after.slice(0, 60)}'.`,
      { param: 'after' },
    )
  }
  const rest = ordered.slice(before + 1)
  return listBody(rest.slice(0, limit), rest.length > limit)
}

function messageBody(message: Record<string, unknown>, id: string, index: number) {
  const { content = null, refusal = null, ...others } = message
  const isText = typeof content === 'string'
  return {
    ...others,
    id: `${completionId(id)}-${index}`,
    role: String(message['role']),
    content: isText ? content : null,
    content_parts: isText ? null : content,
    refusal,
  }
}

/** The document knows no null for the ids of an empty list. */
export function listBody<T extends { id: string }>(data: T[], hasMore: boolean) {
  return {
    object: 'list' as const,
    data,
    first_id: data[0]?.id ?? '',
    last_id: data.at(-1)?.id ?? '',
    has_more: hasMore,
  }
}
