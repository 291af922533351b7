// For routes whose only errors that come from a network are PostgreSQL's: that it is away is told as such.

import { GatewayError } from '../errors.ts'
import { isAway } from '../db/away.ts'
import type { App } from '../request.ts'

export function tellDatabaseAway(app: App) {
  // What is thrown here goes to the handler of the whole server.
  app.setErrorHandler((error) => {
    if (!isAway(error)) throw error
    throw new GatewayError(
      'database_unavailable',
      "The database can't be reached at the moment; nothing was changed. Try again shortly.",
      { cause: error },
    )
  })
}
