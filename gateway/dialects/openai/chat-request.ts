// The body of POST /v1/chat/completions: its schema, and what it asks for in our own terms.
//
// The schema refuses what is ill-typed; the reader refuses what is well-typed and can't be honoured. Both name the
// parameter at fault.

import { Type } from 'typebox'

import { GatewayError } from '../../errors.ts'
import { readSampling, readStop, readStream, SHARED_PARAMETERS } from './parameters.ts'
import { nullableBoolean, nullableInteger } from './schema.ts'
import {
  INFORMATIONAL_PARAMETERS,
  refuseUnsupported,
  UNSUPPORTED_PARAMETERS,
} from './unsupported.ts'
import { given } from './violation.ts'
import type { Static } from 'typebox'
import type { Asked } from '../dialect.ts'
import type { ChatMessage } from '../../../runtime/protocol.ts'

/** a conversation of more turns than this is a mistake or an attack on the template engine */
const MAX_MESSAGES = 4096

const Message = Type.Object(
  {
    role: Type.Unsafe<ChatMessage['role'] | 'function'>({
      title: '"system", "developer", "user" or "assistant"',
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
    // What clients give back from an earlier answer; nothing but their emptiness is understood.
    refusal: Type.Optional(Type.Unknown()),
    annotations: Type.Optional(Type.Unknown()),
    audio: Type.Optional(Type.Unknown()),
    tool_calls: Type.Optional(Type.Unknown()),
    tool_call_id: Type.Optional(Type.Unknown()),
    function_call: Type.Optional(Type.Unknown()),
  },
  { additionalProperties: false },
)

interface ContentPart {
  type: string
  text?: unknown
}

export const ChatRequest = Type.Object(
  {
    ...SHARED_PARAMETERS,
    messages: Type.Array(Message, { minItems: 1, maxItems: MAX_MESSAGES }),
    max_completion_tokens: nullableInteger({ minimum: 1, maximum: 2 ** 31 - 1 }),
    logprobs: nullableBoolean('Report the log-probability of each token.'),
    top_logprobs: nullableInteger({ minimum: 0, maximum: 20 }),
    ...INFORMATIONAL_PARAMETERS,
    ...UNSUPPORTED_PARAMETERS,
  },
  { additionalProperties: false },
)

export type ChatRequestBody = Static<typeof ChatRequest>

export function readChatRequest(body: ChatRequestBody): Asked {
  refuseUnsupported(body)
  return {
    prompts: [{ kind: 'chat', messages: body.messages.map(readMessage) }],
    promptParam: 'messages',
    choices: body.n ?? 1,
    sampling: readSampling(body, readLogprobs(body)),
    maxTokens: readMaxTokens(body),
    stop: readStop(body.stop),
    echo: false,
    ...readStream(body),
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

function readMessage(message: ChatRequestBody['messages'][number], index: number): ChatMessage {
  const path = `messages[${index}]`
  const { role, content, name } = message
  if (role === 'tool' || role === 'function') {
    throw unsupported(`${path}.role`, `The role '${role}' of '${path}'`, 'tools are not supported')
  }
  for (const field of [
    'tool_calls',
    'tool_call_id',
    'function_call',
    'audio',
    'refusal',
  ] as const) {
    const value = message[field]
    if (value === undefined || value === null) continue
    if (Array.isArray(value) && value.length === 0) continue
    throw unsupported(`${path}.${field}`, `'${path}.${field}'`, 'only text can be given back')
  }
  if (content === undefined || content === null) {
    throw new GatewayError(
      'missing_required_parameter',
      `Missing required parameter: '${path}.content' (a string or an array of text parts).`,
      { param: `${path}.content` },
    )
  }
  const text = typeof content === 'string' ? content : readParts(content, `${path}.content`)
  return name ? { role, content: text, name } : { role, content: text }
}

function readParts(parts: ContentPart[], path: string): string {
  const texts: string[] = []
  for (const [index, part] of parts.entries()) {
    if (part.type !== 'text') {
      throw unsupported(
        `${path}[${index}].type`,
        `A part of type ${given(part.type)} ('${path}[${index}]')`,
        'this server reads parts of type "text" only',
      )
    }
    if (typeof part.text !== 'string') {
      throw new GatewayError(
        'invalid_type',
        `'${path}[${index}].text' must be a string; got ${given(part.text)}.`,
        { param: `${path}[${index}].text` },
      )
    }
    texts.push(part.text)
  }
  return texts.join('\n')
}

function unsupported(param: string, what: string, why: string) {
  return new GatewayError('unsupported_parameter', `${what} can't be honoured: ${why}.`, { param })
}
