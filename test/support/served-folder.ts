// A data folder as a running server leaves it to the command line: locked, with a PostgreSQL that is up.

import type { TestContext } from 'node:test'

import { openPool } from '../../gateway/db/database.ts'
import { EmbeddedPostgres } from '../../gateway/db/embedded.ts'
import { lockDataFolder } from '../../gateway/process/data-folder.ts'
import { makeFolder } from './folder.ts'
import { defer } from './lasting.ts'
import { recordLog } from './logger.ts'
import { runHeadrace } from './process.ts'
import type { Pool } from '../../gateway/db/pool.ts'

export interface ServedFolder {
  dataDir: string
  /** PostgreSQL's process */
  pid: number
  /** connections to its migrated tables */
  pool(): Promise<Pool>
  /** `headrace …` in a process of its own; `text` is all that it said */
  run(
    ...args: string[]
  ): Promise<{ code: number | NodeJS.Signals; stdout: string; stderr: string; text: string }>
}

export async function startServedFolder(t: TestContext): Promise<ServedFolder> {
  const dataDir = await makeFolder(t)
  const lock = await lockDataFolder(dataDir, 'server')
  defer(t, () => lock.release())
  const { logger } = recordLog()
  const server = await EmbeddedPostgres.start({ dataDir, logger, isDurable: false })
  defer(t, () => server.stop())
  return {
    dataDir,
    pid: server.pid,
    async pool() {
      const database = await openPool(server.connection, logger)
      defer(t, async () => database[Symbol.asyncDispose]())
      return database.pool
    },
    async run(...args) {
      const ended = await runHeadrace(t, args, { env: { HEADRACE_DATA_DIR: dataDir } })
      return { ...ended, text: ended.stdout + ended.stderr }
    },
  }
}
