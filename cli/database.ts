// The database, for commands that read or change what is in it.
//
// Where a server runs on this data folder its database is used, else one is started for the command.

import { setTimeout as sleep } from 'node:timers/promises'
import { userInfo } from 'node:os'

import type { Logger } from 'pino'

import { DataFolderHeld, lockDataFolder } from '../gateway/process/data-folder.ts'
import { openDatabase, openPool } from '../gateway/db/database.ts'
import { findEmbedded } from '../gateway/db/embedded.ts'
import type { Actor } from '../gateway/db/audit.ts'
import type { Database } from '../gateway/db/database.ts'
import type { Pool } from '../gateway/db/pool.ts'
import type { Settings } from '../gateway/settings/settings.ts'
import type { Output } from './progress.ts'

export interface DatabaseCommandDeps {
  loadSettings(): Settings
  createLogger(settings: Settings): Logger
  stdout: Output
}

/** Runs a command's work and writes what it returns; null: it has said everything itself. */
export type WithDatabase = (
  work: (pool: Pool, actor: Actor) => Promise<string | null>,
) => Promise<void>

/** a server that is being started has its database up by then */
const PATIENCE_MS = 15_000
const POLL_MS = 100

export function withDatabase(deps: DatabaseCommandDeps): WithDatabase {
  return async (work) => {
    const settings = deps.loadSettings()
    await using parts = new AsyncDisposableStack()
    const { pool } = await reachDatabase(settings, deps.createLogger(settings), parts)
    const said = await work(pool, { id: null, name: userName(), via: 'command_line' })
    if (said !== null) deps.stdout.write(`${said}\n`)
  }
}

async function reachDatabase(
  settings: Settings,
  logger: Logger,
  parts: AsyncDisposableStack,
): Promise<Database> {
  const { databaseUrl, dataDir } = settings
  if (databaseUrl !== null) {
    return parts.use(await openDatabase({ databaseUrl, dataDir, logger }))
  }
  const deadline = performance.now() + PATIENCE_MS
  for (;;) {
    try {
      const lock = await lockDataFolder(dataDir, 'command')
      parts.defer(() => lock.release())
      return parts.use(await openDatabase({ databaseUrl, dataDir, logger }))
    } catch (error) {
      if (!(error instanceof DataFolderHeld)) throw error
      const running = await findEmbedded(dataDir)
      if (running) return parts.use(await openPool(running, logger))
      if (performance.now() > deadline) throw error
    }
    await sleep(POLL_MS)
  }
}

function userName(): string {
  try {
    return userInfo().username
  } catch {
    // A container's user may have no name.
    return `uid ${process.getuid?.() ?? 'unknown'}`
  }
}
