// Where log lines go: JSON for machines, short lines for a person at a terminal.
//
// The human's own block (URL, key, example) goes to stdout; everything here goes to stderr.

import { pino } from 'pino'
import type { Logger } from 'pino'

import { loggedError } from '../gateway/logger.ts'
import type { LogLevel } from '../gateway/settings/watching-settings.ts'

const LEVELS: Record<number, string> = {
  10: 'trace',
  20: 'debug',
  30: '',
  40: 'WARNING',
  50: 'ERROR',
}

/** @param part names the process in lines that several write to one stream */
export function createLogger(part: string, level: LogLevel, isTerminal: boolean): Logger {
  // Synchronous: the last line before an exit is the one that is wanted.
  const stderr = pino.destination({ dest: 2, sync: true })
  const options = { level, base: { part }, serializers: { err: loggedError } }
  if (!isTerminal) return pino(options, stderr)
  return pino(options, { write: (line: string) => stderr.write(`${shorten(line)}\n`) })
}

interface Line {
  level: number
  time: number
  part: string
  msg?: string
  err?: { message?: string; stack?: string }
}

function shorten(line: string): string {
  const { level, time, part, msg = '', err } = JSON.parse(line) as Line
  const clock = new Date(time).toTimeString().slice(0, 8)
  const severity = LEVELS[level] ?? 'FATAL'
  // A stack is for whoever reports a defect; what is passing says enough in a sentence.
  const cause = err ? (level >= 50 ? `\n${err.stack ?? ''}` : `: ${err.message ?? ''}`) : ''
  return [clock, part.padEnd(7), severity, msg + cause].filter((part) => part !== '').join(' ')
}
