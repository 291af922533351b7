// What the gateway needs of a logger; pino's is one. And what log lines say of an error.
//
// Texts are kept as their callers' policy says, and log lines go where nobody asks for it: of an error they have its name,
// its code and its reason, and nothing else that somebody attached. (PostgreSQL attaches the row it refused.) Where an error
// was thrown is said of those that nobody expected: an upstream that is down says so a thousand times a minute.

import { GatewayError } from './errors.ts'

type Write = (context: object, message: string) => void

export interface Logger {
  debug: Write
  info: Write
  warn: Write
  error: Write
}

interface LoggedError {
  type: string
  message: string
  /** where it was thrown, and its causes; absent: it was expected */
  stack?: string
  code?: string
}

/** pino's serializer for `err`. */
export function loggedError(error: unknown): LoggedError {
  if (!(error instanceof Error)) return { type: typeof error, message: 'no error', stack: '' }
  const { code } = error as { code?: unknown }
  const known = {
    type: error.name,
    message: reasonOf(error),
    ...(typeof code === 'string' && { code }),
  }
  if (error instanceof GatewayError && error.isExpected) return known
  const lines: string[] = []
  for (let each: unknown = error, depth = 0; each instanceof Error && depth < 5; depth++) {
    lines.push(`${depth > 0 ? 'caused by ' : ''}${each.name}: ${reasonOf(each)}`, framesOf(each))
    each = each.cause
  }
  return { ...known, stack: lines.join('\n') }
}

function reasonOf(error: Error): string {
  return error instanceof GatewayError ? error.reason : error.message
}

/** Without the first lines, which have the message. */
function framesOf({ stack = '' }: Error): string {
  const first = stack.search(/^ {4}at /m)
  return first < 0 ? '' : stack.slice(first)
}
