// The one place where an error becomes an answer.
//
// Ours are told as they are; Fastify's own are translated; anything else is `internal_error`, whose reason only the log
// gets. Also what comes before routing: bytes that are no HTTP, and addresses that lead nowhere.

import type { Socket } from 'node:net'
import { STATUS_CODES } from 'node:http'

import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'

import { errorBody } from '../dialects/openai/error.ts'
import { fromViolations } from '../dialects/openai/violation.ts'
import { GatewayError, internalError } from '../errors.ts'
import { hasLeft } from '../exchange/exchange.ts'
import { targetHeaders } from '../answering/target-headers.ts'
import type { ErrorCode } from '../errors.ts'
import type { App } from '../request.ts'

/** @returns the body that tells an error in a dialect */
export type ErrorWriter = (error: GatewayError, requestId: string) => string

/** @param write for the routes of another dialect than OpenAI's, registered on an app of their own */
export function tellErrors(
  app: App,
  { bodyLimitBytes }: { bodyLimitBytes: number },
  write: ErrorWriter = errorBody,
) {
  app.setErrorHandler((error, request, reply) => {
    // The client is gone; its exchange closes as cancelled.
    if (request.exchange && hasLeft(request.exchange)) return reply.hijack()
    tell(translate(error, bodyLimitBytes), request, reply, write)
  })
}

/** For what fails before a route is found: an address that can't be decoded, or with too long a part. */
export function tellUnroutable(_error: FastifyError, request: FastifyRequest, reply: FastifyReply) {
  // The request has not met the hook that writes its id.
  reply.header('x-request-id', request.id)
  const path = request.url.slice(0, 200)
  tell(new GatewayError('unknown_url', `Unknown URL: ${request.method} ${path}.`), request, reply)
}

export function tell(
  error: GatewayError,
  request: FastifyRequest,
  reply: FastifyReply,
  write: ErrorWriter = errorBody,
) {
  const { status, retryAfterSeconds, outcome } = error.kind
  request.exchange?.failed(error)
  if (retryAfterSeconds !== undefined) reply.header('retry-after', retryAfterSeconds)
  const target = request.exchange?.target ?? null
  if (outcome === 'failed') request.log.error({ err: error, ...target }, error.reason)
  if (target) reply.headers(targetHeaders(target, request.exchange?.attempts.length ?? 0))
  reply.headers(error.headers)
  return reply.code(status).type('application/json; charset=utf-8').send(write(error, request.id))
}

/** by the code of Node's HTTP parser */
const MALFORMED: Record<string, [ErrorCode, string]> = {
  ERR_HTTP_REQUEST_TIMEOUT: ['request_timeout', 'The request did not arrive in time.'],
  HPE_HEADER_OVERFLOW: ['headers_too_large', "The request's headers are too large."],
}

/** For bytes that never became a request; the socket is all there is. */
export function tellMalformed(error: NodeJS.ErrnoException, socket: Socket) {
  if (error.code === 'ECONNRESET' || socket.destroyed) return
  const [code, message] = MALFORMED[error.code ?? ''] ?? [
    'bad_request',
    'The request is not valid HTTP.',
  ]
  const told = new GatewayError(code, message)
  const { status } = told.kind
  const body = errorBody(told)
  if (socket.writable) {
    socket.write(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n` +
        `content-type: application/json; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\n` +
        `connection: close\r\n\r\n${body}`,
    )
  }
  socket.destroySoon()
}

function translate(error: unknown, bodyLimitBytes: number): GatewayError {
  if (error instanceof GatewayError) return error
  if (!(error instanceof Error)) return internalError(error)
  const { code, validation, statusCode } = error as FastifyError
  if (validation) return fromViolations(validation)
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new GatewayError(
        'body_too_large',
        `The request body is too large: at most ${bodyLimitBytes} bytes are allowed.`,
      )
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new GatewayError(
        'unsupported_media_type',
        'The request body must be JSON, with the header content-type: application/json.',
      )
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return new GatewayError('bad_request', "The body's size is not what content-length says.")
  }
  // What is left below 500 is about the request too, but its words are a library's.
  return statusCode !== undefined && statusCode < 500
    ? new GatewayError('bad_request', 'The request is not valid.', { cause: error })
    : internalError(error)
}
