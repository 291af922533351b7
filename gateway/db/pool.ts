// Connections to PostgreSQL, embedded or given.

import pg from 'pg'

import type { Logger } from '../logger.ts'

/** What of a pool or a connection the tables need. */
export interface Queryable {
  query<Row extends pg.QueryResultRow>(
    text: string,
    values?: unknown[],
  ): Promise<pg.QueryResult<Row>>
}

export type Pool = pg.Pool

/** Where a database is: a URL that the operator gave, or the embedded one's socket. */
export type Connection = Pick<
  pg.PoolConfig,
  'connectionString' | 'host' | 'port' | 'user' | 'password' | 'database' | 'options'
>

/** Requests ask it for keys only, and those are remembered; the log writes through one connection at a time. */
const MAX_CONNECTIONS = 10
/** A database that does not answer by then is away, and whoever asks has better things to do than wait. */
const CONNECT_TIMEOUT_MS = 5_000
const QUERY_TIMEOUT_MS = 30_000

export function createPool(connection: Connection, logger: Logger): Pool {
  const pool = new pg.Pool({
    ...connection,
    max: MAX_CONNECTIONS,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
    application_name: 'headrace',
    keepAlive: true,
  })
  // An idle connection that breaks is told here; without a listener it would end the process.
  // (Not the error itself: the pool hangs the whole connection on it.)
  pool.on('error', (error) => {
    if (!pool.ending) logger.warn({ reason: error.message }, 'a connection to PostgreSQL broke')
  })
  // One that breaks while somebody has it is told by what they asked of it, and where they asked nothing at the moment,
  // by the next thing that they ask. Here too a listener keeps the process alive: the pool's own is for idle ones.
  pool.on('connect', (client) => client.on('error', () => {}))
  return pool
}

/** Where its connections lead, for a thread that makes connections of its own. */
export function connectionOf({ options }: Pool): Connection {
  const { connectionString, host, port, user, password, database, options: more } = options
  return { connectionString, host, port, user, password, database, options: more }
}
