// A logger that remembers what it was told.

import type { Logger } from '../../gateway/logger.ts'

interface LogLine {
  level: keyof Logger
  message: string
  context: object
}

export function recordLog() {
  const lines: LogLine[] = []
  const write = (level: keyof Logger) => (context: object, message: string) => {
    lines.push({ level, message, context })
  }
  const logger: Logger = {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
  }
  return { logger, lines, messages: () => lines.map(({ message }) => message) }
}
