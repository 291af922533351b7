// What the gateway needs of a logger; pino's is one.

type Write = (context: object, message: string) => void

export interface Logger {
  debug: Write
  info: Write
  warn: Write
  error: Write
}
