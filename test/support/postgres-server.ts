// A PostgreSQL for many tests: one server, and in it a database `template` that has all tables and nothing in them.
//
// A test's own database is a copy of it, which costs a quarter of running the migrations again. test/run.ts starts one
// server for all files and tells them where it is; a file that runs alone starts its own.

import { statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'

import { EmbeddedPostgres } from '../../gateway/db/embedded.ts'
import { migrate } from '../../gateway/db/migrate.ts'
import { createPool } from '../../gateway/db/pool.ts'
import { makeFolder } from './folder.ts'
import { defer } from './lasting.ts'
import { recordLog } from './logger.ts'
import type { Connection } from '../../gateway/db/pool.ts'
import type { Lasting } from './lasting.ts'

/** copied by whoever needs tables; nobody may be connected to it meanwhile, so nobody may connect at all */
export const TEMPLATE = 'template'

/** Where the run's server is, as JSON of a Connection; absent where a file runs alone. */
const VARIABLE = 'TEST_POSTGRES'

export function environmentOf(connection: Connection): Record<string, string> {
  return { [VARIABLE]: JSON.stringify(connection) }
}

/** The run's server, or else one that goes with `t`. */
export async function reachServer(t: Lasting): Promise<Connection> {
  const given = process.env[VARIABLE]
  return given === undefined ? startServer(t) : (JSON.parse(given) as Connection)
}

/** Settings of a server whose data nobody will miss, and that many files use at once. */
const SETTINGS = {
  // The default of 100 is ten pools; each file may have several, and some a fleet of them.
  max_connections: '500',
  autovacuum: 'off',
  full_page_writes: 'off',
  max_wal_size: "'128MB'",
  wal_level: 'minimal',
  max_wal_senders: '0',
}

/** @param isShared it is told of those settings, which takes a second start */
export async function startServer(t: Lasting, isShared = false): Promise<Connection> {
  const { logger } = recordLog()
  const dataDir = await makeFolder(t, 'test-postgres', await findFastFolder())
  const start = () => EmbeddedPostgres.start({ dataDir, logger, isDurable: false })
  let server = await start()
  defer(t, () => server.stop())

  const pool = createPool(server.connection, logger)
  await pool.query(`CREATE DATABASE ${TEMPLATE}`)
  const template = createPool({ ...server.connection, database: TEMPLATE }, logger)
  await migrate(template)
  await template.end()
  await pool.query(`ALTER DATABASE ${TEMPLATE} ALLOW_CONNECTIONS false`)
  if (isShared) {
    for (const [name, value] of Object.entries(SETTINGS)) {
      await pool.query(`ALTER SYSTEM SET ${name} = ${value}`)
    }
  }
  await pool.end()
  if (isShared) {
    await server.stop()
    server = await start()
  }
  return server.connection
}

/** of databases that are there at a time, and what is written ahead */
const ROOM_BYTES = 2 ** 31

/**
 * Where there is a file system in memory with room, there: a database is three hundred files, and ext4 looks ever longer
 * for inodes where many were deleted just now, which cost more than all that the tests asked.
 */
async function findFastFolder(): Promise<string> {
  const memory = '/dev/shm'
  const found = await statfs(memory).catch(() => null)
  return found && found.bavail * found.bsize > ROOM_BYTES ? memory : tmpdir()
}
