// The answers' shapes for the OpenAPI document. Nothing is validated or filtered by them: bodies and frames are put
// together where the answers are, and tests hold them against OpenAI's own document.

import { Type } from 'typebox'

import { ErrorBody } from './error.ts'
import type { TSchema } from 'typebox'

const Usage = Type.Object({
  prompt_tokens: Type.Integer(),
  completion_tokens: Type.Integer(),
  total_tokens: Type.Integer(),
  prompt_tokens_details: Type.Object({ cached_tokens: Type.Integer() }),
})

const Reason = Type.Unsafe<'stop' | 'length'>({ type: 'string', enum: ['stop', 'length'] })

const shared = {
  id: Type.String(),
  created: Type.Integer({ description: 'Unix seconds' }),
  model: Type.String({ description: 'As it was asked for.' }),
  system_fingerprint: Type.String({ description: 'The version that answered.' }),
  usage: Usage,
}

export const ChatCompletion = Type.Object({
  ...shared,
  object: Type.Literal('chat.completion'),
  choices: Type.Array(
    Type.Object({
      index: Type.Integer(),
      message: Type.Object({
        role: Type.Literal('assistant'),
        content: Type.String(),
        refusal: Type.Null(),
        annotations: Type.Array(Type.Unknown()),
      }),
      logprobs: Type.Unknown(),
      finish_reason: Reason,
    }),
  ),
})

export const Completion = Type.Object({
  ...shared,
  object: Type.Literal('text_completion'),
  choices: Type.Array(
    Type.Object({
      index: Type.Integer(),
      text: Type.String(),
      logprobs: Type.Unknown(),
      finish_reason: Reason,
    }),
  ),
})

export function answerResponses(whole: TSchema) {
  return {
    200: {
      description: 'The answer; as server-sent events where `stream` is true.',
      headers: {
        'x-request-id': { type: 'string', description: "The exchange's id." },
        'x-headrace-version': { type: 'string', description: 'The version that answered.' },
        'x-headrace-feedback-token': {
          type: 'string',
          description:
            'For /v1/feedback; where the request has this header, with a number of seconds.',
        },
      },
      content: {
        'application/json': { schema: whole },
        'text/event-stream': { schema: Type.String() },
      },
    },
    default: ErrorBody,
  }
}
