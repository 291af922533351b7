// What the runtime needs of a logger; pino's is one.

type Write = (context: object, message: string) => void

export interface Logger {
  info: Write
  warn: Write
  error: Write
}
