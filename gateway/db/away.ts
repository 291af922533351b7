// What of PostgreSQL's errors says that it can't be reached now, so that trying again later is of use.

const NOT_REACHED = 'ECONNREFUSED ENOENT EAI_AGAIN ENOTFOUND ETIMEDOUT ECONNRESET EPIPE'.split(' ')
/** starting up, shutting down, ended, or without a connection to spare */
const NOT_NOW = ['57P03', '57P01', '57P02', '53300']
/** The pool tells these by their words alone. */
const WORDS = /^(timeout exceeded when trying to connect|Connection terminated|Query read timeout)/

export function isAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = 'code' in error ? String(error.code) : ''
  return NOT_REACHED.includes(code) || NOT_NOW.includes(code) || WORDS.test(error.message)
}
