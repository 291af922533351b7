// The bodies of POST /v1/messages and /v1/messages/count_tokens: their schemas, and what they ask for in our own terms.
//
// The schema refuses what is ill-typed; the readers refuse what is well-typed and means nothing here. What isn't
// understood is handed on: whether it can be honoured is for whoever answers to say.
//
// Format: https://platform.claude.com/docs/en/api/messages

import { Type } from 'typebox'

import { readMessage, readParts } from './content.ts'
import { readToolChoice, readTools, WireTool } from './tools.ts'
import type { Static } from 'typebox'
import type { Chat } from '../../backends/backend.ts'
import type { Message, ResponseFormat } from '../../backends/conversation.ts'
import type { Asked } from '../dialect.ts'
import type { Content } from './content.ts'

/** a conversation of more turns than this is a mistake or an attack on the template engine */
const MAX_MESSAGES = 4096
const MAX_TOKENS = 2 ** 31 - 1
const MAX_STOPS = 16
const MAX_STOP_CHARACTERS = 256

const BLOCKS = {
  type: 'array',
  items: { type: 'object', properties: { type: { type: 'string' } }, required: ['type'] },
}

const WireContent = Type.Unsafe<Content>({
  title: 'a string or an array of blocks, each an object with a type',
  anyOf: [{ type: 'string' }, BLOCKS],
})

const WireMessage = Type.Object(
  {
    role: Type.Unsafe<'user' | 'assistant' | 'system'>({
      title: '"user" or "assistant"',
      type: 'string',
      enum: ['user', 'assistant', 'system'],
    }),
    content: WireContent,
  },
  { additionalProperties: false },
)

const OutputConfig = Type.Unsafe<OutputConfigBody | null>({
  type: ['object', 'null'],
  properties: {
    effort: { type: ['string', 'null'] },
    format: {
      type: ['object', 'null'],
      properties: { type: { const: 'json_schema' }, schema: { type: 'object' } },
      required: ['type', 'schema'],
    },
  },
})

interface OutputConfigBody {
  effort?: string | null
  format?: { type: 'json_schema'; schema: Record<string, unknown> } | null
}

const PROMPT = {
  model: Type.String({
    minLength: 1,
    maxLength: 256,
    description: 'A model, or one of its versions: `name` or `name@version`.',
  }),
  messages: Type.Array(WireMessage, { minItems: 1, maxItems: MAX_MESSAGES }),
  system: Type.Optional(WireContent),
  tools: Type.Optional(Type.Array(WireTool, { maxItems: 1024 })),
  tool_choice: Type.Optional(
    Type.Unsafe<{ type: string; name?: unknown; disable_parallel_tool_use?: unknown }>({
      title: 'an object with the type "auto", "any", "tool" or "none"',
      type: 'object',
      properties: { type: { enum: ['auto', 'any', 'tool', 'none'] } },
      required: ['type'],
    }),
  ),
  output_config: Type.Optional(OutputConfig),
  thinking: Type.Optional(
    Type.Unsafe<{ type: string } | null>({
      title: 'an object with a type',
      type: ['object', 'null'],
      properties: { type: { type: 'string' } },
      required: ['type'],
    }),
  ),
}

/** Anthropic takes 0 to 1; other models that are asked in this dialect take more. */
const MAX_TEMPERATURE = 2

export const MessagesRequest = Type.Object(
  {
    ...PROMPT,
    max_tokens: Type.Integer({ minimum: 1, maximum: MAX_TOKENS }),
    stream: Type.Optional(Type.Boolean({ description: 'Answer as server-sent events.' })),
    stop_sequences: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: MAX_STOP_CHARACTERS }), {
        maxItems: MAX_STOPS,
      }),
    ),
    temperature: Type.Optional(Type.Number({ minimum: 0, maximum: MAX_TEMPERATURE })),
    top_p: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1 })),
    top_k: Type.Optional(Type.Integer({ minimum: 0, maximum: MAX_TOKENS })),
    metadata: Type.Optional(
      Type.Object({
        user_id: Type.Optional(Type.Unsafe<string | null>({ type: ['string', 'null'] })),
      }),
    ),
  },
  { additionalProperties: true },
)

export const CountTokensRequest = Type.Object(PROMPT, { additionalProperties: true })

type PromptBody = Static<typeof CountTokensRequest>
export type MessagesRequestBody = Static<typeof MessagesRequest>

/** @param betas features on trial, as a header names them */
export function readMessagesRequest(body: MessagesRequestBody, betas: string[]): Asked {
  const { temperature, top_p: topP, top_k: topK, max_tokens: maxTokens } = body
  return {
    question: {
      ...readPrompt(body, betas, MessagesRequest.properties),
      sampling: { temperature, topP, topK },
      maxTokens,
      stop: body.stop_sequences ?? [],
      user: body.metadata?.user_id ?? undefined,
    },
    model: body.model,
    isStreamed: body.stream === true,
    includesUsage: true,
  }
}

export function readCountTokensRequest(
  body: PromptBody,
  betas: string[],
): Omit<Chat, 'id' | 'isStreamed'> {
  return { ...readPrompt(body, betas, CountTokensRequest.properties), sampling: {}, stop: [] }
}

type Prompt = Omit<Chat, 'id' | 'isStreamed' | 'sampling' | 'maxTokens' | 'stop' | 'user'>

function readPrompt(body: PromptBody, betas: string[], understood: object): Prompt {
  const { effort, format, ...config } = body.output_config ?? {}
  const isThoughtless = body.thinking?.type === 'disabled'
  return {
    kind: 'chat',
    dialect: 'anthropic',
    ...(betas.length > 0 && { betas }),
    promptParam: 'messages',
    choices: 1,
    messages: [...readSystem(body.system), ...readMessages(body.messages)],
    tools: readTools(body.tools),
    ...readToolChoice(body.tool_choice),
    responseFormat: format ? readFormat(format) : undefined,
    reasoningEffort: isThoughtless ? 'none' : (effort ?? undefined),
    extra: {
      ...otherThan(understood, body),
      ...(body.thinking && !isThoughtless && { thinking: body.thinking }),
      ...(Object.keys(config).length > 0 && { output_config: config }),
      // Without thoughts of its own, effort is still a word about the answer.
      ...(isThoughtless && effort && { output_config: { ...config, effort } }),
    },
  }
}

function readSystem(system: Content | undefined): Message[] {
  if (system === undefined || system.length === 0) return []
  return [{ role: 'system', content: readParts(system, 'system') }]
}

function readMessages(messages: PromptBody['messages']): Message[] {
  return messages.flatMap((message, index) => readMessage(message, `messages[${index}]`))
}

/** The dialect has no name for a schema; others want one. */
function readFormat({ schema }: { schema: Record<string, unknown> }): ResponseFormat {
  return { type: 'json_schema', name: 'answer', schema, strict: true }
}

function otherThan(understood: object, body: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(body).filter(([name]) => !Object.hasOwn(understood, name)),
  )
}
