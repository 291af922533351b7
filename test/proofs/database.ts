// The PostgreSQL of a proof: a server that is stopped and started at will, and what the exchange log says in it.
//
// Knows: the server and the log's tables. Does not know: gateways.

import { chown, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

import { CLUSTER_USER, openCluster } from '../../gateway/db/embedded/cluster.ts'
import { openClusterHome } from '../../gateway/db/embedded/home.ts'
import { SOCKET_FOLDER_NAME } from '../../gateway/db/embedded/postmaster-file.ts'
import { findPostgresPrograms } from '../../gateway/db/embedded/programs.ts'
import { launchServer } from '../../gateway/db/embedded/server.ts'
import { createPool } from '../../gateway/db/pool.ts'
import { createSocketFolder } from '../../gateway/process/socket-folder.ts'
import { makeFolder } from '../support/folder.ts'
import { defer } from '../support/lasting.ts'
import { recordLog } from '../support/logger.ts'
import type { Server, ServerOptions } from '../../gateway/db/embedded/server.ts'
import type { Connection, Pool } from '../../gateway/db/pool.ts'
import type { Lasting } from '../support/lasting.ts'

export class ProofPostgres {
  readonly url: string
  readonly #options: ServerOptions
  #server: Server

  private constructor(url: string, options: ServerOptions, server: Server) {
    this.url = url
    this.#options = options
    this.#server = server
  }

  static async start(t: Lasting): Promise<ProofPostgres> {
    const { logger } = recordLog()
    const home = await openClusterHome(await makeFolder(t, 'proof'), logger)
    const { runAs } = home
    const { initdb, postgres } = await findPostgresPrograms(runAs, logger)
    const { path: cluster, password } = await openCluster(home, initdb, false)
    const sockets = await createSocketFolder(SOCKET_FOLDER_NAME)
    defer(t, () => sockets.remove())
    if ('uid' in runAs) await chown(sockets.path, runAs.uid, runAs.gid)
    const place = { cluster, socketFolder: sockets.path, port: 5432 }
    const options = { ...place, postgres, runAs, isDurable: false, logger }
    const where = `host=${encodeURIComponent(sockets.path)}&port=${place.port}`
    const url = `postgresql://${CLUSTER_USER}:${password}@localhost/postgres?${where}`
    const database = new ProofPostgres(url, options, await launchServer(options))
    defer(t, async () => {
      await database.thaw()
      await database.#server.stop()
    })
    return database
  }

  /** As `pg_ctl stop -m immediate` does: nothing is written, connections are cut. */
  async stopAtOnce(): Promise<void> {
    process.kill(this.#server.pid, 'SIGQUIT')
    await this.#server.ended
  }

  /** Takes connections and statements, and answers none: as a server whose disk hangs. */
  freeze(): Promise<void> {
    return this.#signal('SIGSTOP')
  }

  thaw(): Promise<void> {
    return this.#signal('SIGCONT')
  }

  async startAgain(): Promise<void> {
    this.#server = await launchServer(this.#options)
  }

  /** To the server, and then to all that it has started. */
  async #signal(signal: 'SIGSTOP' | 'SIGCONT'): Promise<void> {
    const { pid } = this.#server
    process.kill(pid, signal)
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
    for (const child of children.split(' ').filter((text) => text.trim() !== '')) {
      try {
        process.kill(Number(child), signal)
      } catch {
        // It has ended meanwhile: whose connection it was is gone.
      }
    }
  }
}

/** What the tables hold, as whoever reads them sees it. */
export class LogReader {
  readonly #pool: Pool

  constructor(t: Lasting, connection: Connection) {
    this.#pool = createPool(connection, recordLog().logger)
    defer(t, () => this.#pool.end())
  }

  /** ids of all rows; twice where it is there twice */
  async ids(): Promise<string[]> {
    const { rows } = await this.#pool.query<{ id: string }>('SELECT id FROM exchanges')
    return rows.map(({ id }) => id)
  }

  /** Waits until they are all there, at most so long. @returns those that are not */
  async missingOf(ids: readonly string[], patienceMs: number): Promise<string[]> {
    const deadline = performance.now() + patienceMs
    for (;;) {
      // A database that is just coming back has nothing to say yet.
      const known = new Set(await this.ids().catch(() => []))
      const missing = ids.filter((id) => !known.has(id))
      if (missing.length === 0 || performance.now() > deadline) return missing
      await sleep(500)
    }
  }

  /** requests that the hourly sums have counted */
  async counted(): Promise<number> {
    const { rows } = await this.#pool.query<{ requests: string | null }>(
      'SELECT sum(requests) AS requests FROM exchange_hours',
    )
    return Number(rows[0]?.requests ?? 0)
  }
}
