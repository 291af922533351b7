// The body of POST /v1/chat/completions: its schema, and what it asks for in our own terms.
//
// The schema refuses what is ill-typed; the readers refuse what is well-typed and means nothing. Both name the parameter
// at fault. What isn't understood here is handed on: whether it can be honoured is for whoever answers to say.

import { Type } from 'typebox'

import { GatewayError } from '../../errors.ts'
import { ChatMessage, readMessage } from './chat-message.ts'
import { readMetadata } from './metadata.ts'
import { otherThan, readSampling, readStop, readStream, SHARED_PARAMETERS } from './parameters.ts'
import { nullableBoolean, nullableInteger, nullableString, readLater } from './schema.ts'
import { readResponseFormat, readToolChoice, readTools } from './tools.ts'
import type { Static } from 'typebox'
import type { Asked } from '../dialect.ts'

/** a conversation of more turns than this is a mistake or an attack on the template engine */
const MAX_MESSAGES = 4096

export const ChatRequest = Type.Object(
  {
    ...SHARED_PARAMETERS,
    messages: Type.Array(ChatMessage, { minItems: 1, maxItems: MAX_MESSAGES }),
    max_completion_tokens: nullableInteger({ minimum: 1, maximum: 2 ** 31 - 1 }),
    logprobs: nullableBoolean('Report the log-probability of each token.'),
    top_logprobs: nullableInteger({ minimum: 0, maximum: 20 }),
    tools: readLater('Functions that the model may call.'),
    tool_choice: readLater('"auto", "none", "required", or one function.'),
    parallel_tool_calls: nullableBoolean('Several calls in one answer are welcome.'),
    response_format: readLater('Text, any JSON, or JSON of a schema.'),
    reasoning_effort: nullableString('How long a model that reasons may do so.'),
    store: nullableBoolean(
      'Keep the completion, so that it can be read by GET /v1/chat/completions/{id}.',
    ),
    functions: readLater('Not supported: send tools.'),
    function_call: readLater('Not supported: send tool_choice.'),
  },
  { additionalProperties: true },
)

export type ChatRequestBody = Static<typeof ChatRequest>

export function readChatRequest(body: ChatRequestBody): Asked {
  refuseFunctions(body)
  return {
    question: {
      kind: 'chat',
      dialect: 'openai',
      messages: body.messages.map(readMessage),
      promptParam: 'messages',
      choices: body.n ?? 1,
      sampling: readSampling(body, readLogprobs(body)),
      maxTokens: readMaxTokens(body),
      stop: readStop(body.stop),
      tools: readTools(body.tools),
      toolChoice: readToolChoice(body.tool_choice),
      parallelToolCalls: body.parallel_tool_calls ?? undefined,
      responseFormat: readResponseFormat(body.response_format),
      reasoningEffort: body.reasoning_effort ?? undefined,
      user: body.user ?? undefined,
      extra: readExtra(body),
    },
    model: body.model,
    isStored: body.store === true,
    ...readStream(body),
  }
}

/** Completions are stored here and nowhere else, and their metadata with them. That they are not is told on. */
function readExtra(body: ChatRequestBody): Record<string, unknown> {
  const { metadata, ...extra } = otherThan(ChatRequest.properties, body)
  if (body.store === true) {
    readMetadata(metadata)
    return extra
  }
  return {
    ...extra,
    ...(metadata !== undefined && { metadata }),
    ...(body.store === false && { store: false }),
  }
}

/** The shapes from before there were tools; every client has had the newer ones for years. */
function refuseFunctions(body: ChatRequestBody) {
  for (const [name, newer] of [
    ['functions', 'tools'],
    ['function_call', 'tool_choice'],
  ] as const) {
    const value = body[name]
    if (value === undefined || value === null || value === 'none') continue
    if (Array.isArray(value) && value.length === 0) continue
    throw new GatewayError(
      'unsupported_parameter',
      `'${name}' is not supported; '${newer}' has taken its place.`,
      { param: name },
    )
  }
}

function readLogprobs({ logprobs, top_logprobs: top }: ChatRequestBody): number | null {
  if (top !== undefined && top !== null && logprobs !== true) {
    throw new GatewayError(
      'invalid_value',
      "'top_logprobs' is allowed only where 'logprobs' is true.",
      { param: 'top_logprobs' },
    )
  }
  return logprobs ? (top ?? 0) : null
}

function readMaxTokens(body: ChatRequestBody): number | undefined {
  const { max_tokens: older, max_completion_tokens: newer } = body
  if (older && newer && older !== newer) {
    throw new GatewayError(
      'invalid_value',
      `'max_tokens' (${older}) and 'max_completion_tokens' (${newer}) mean the same; send one of them.`,
      { param: 'max_tokens' },
    )
  }
  return newer ?? older ?? undefined
}
