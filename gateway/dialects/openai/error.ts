// OpenAI's error body, and the frame that ends a stream that broke.

import { Type } from 'typebox'

import type { GatewayError } from '../../errors.ts'

export const ErrorBody = Type.Object(
  {
    error: Type.Object({
      message: Type.String({ description: 'What was wrong, what was given, what is allowed.' }),
      type: Type.String(),
      param: Type.Union([Type.String(), Type.Null()], {
        description: 'What is at fault, as it was sent: messages[0].content.',
      }),
      code: Type.Union([Type.String(), Type.Null()], {
        description: 'One of those at the head of this document.',
      }),
    }),
  },
  { description: 'What went wrong.' },
)

export function errorBody(error: GatewayError): string {
  return JSON.stringify({
    error: {
      message: error.message,
      type: error.kind.type,
      param: error.param,
      code: error.code,
    },
  })
}

export function errorFrame(error: GatewayError): string {
  return `data: ${errorBody(error)}\n\n`
}
