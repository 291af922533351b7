// The embedded PostgreSQL: a real server of this data folder, started with Headrace and stopped with it.
//
// It listens on a unix socket in a private folder and nowhere else, behind a password that is kept beside the data.
// Whoever starts it holds the data folder's lock: a server that is found running is one that outlived its Headrace, and
// is stopped first. One that ends by itself is started again.
//
// Knows: the order of things. Does not know: tables.

import { chown, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { CLUSTER_USER, clusterIn, openCluster, passwordFileIn } from './embedded/cluster.ts'
import { openClusterHome } from './embedded/home.ts'
import { readPostmaster, SOCKET_FOLDER_NAME, stopOrphan } from './embedded/postmaster-file.ts'
import { findPostgresPrograms } from './embedded/programs.ts'
import { launchServer } from './embedded/server.ts'
import { createSocketFolder } from '../process/socket-folder.ts'
import type { Connection } from './pool.ts'
import type { Server, ServerOptions } from './embedded/server.ts'
import type { Logger } from '../logger.ts'
import type { SocketFolder } from '../process/socket-folder.ts'

export interface EmbeddedOptions {
  /** absolute, and its lock held by the caller */
  dataDir: string
  logger: Logger
  /** false: a crash of the machine may cost the data; for tests */
  isDurable?: boolean
}

const DATABASE = 'postgres'
const PORT = 5432
const RESTART_DELAY_MS = 1_000

export class EmbeddedPostgres {
  readonly connection: Connection
  readonly #options: ServerOptions
  readonly #sockets: SocketFolder
  readonly #stopping = new AbortController()
  readonly #keeping: Promise<void>
  #server: Server

  private constructor(
    connection: Connection,
    options: ServerOptions,
    sockets: SocketFolder,
    server: Server,
  ) {
    this.connection = connection
    this.#options = options
    this.#sockets = sockets
    this.#server = server
    this.#keeping = this.#keepRunning()
  }

  /** Starts it, making its files at the first start. @throws Error that says what is in the way */
  static async start(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
    const { dataDir, logger, isDurable = true } = options
    const home = await openClusterHome(dataDir, logger)
    const { runAs } = home
    const { initdb, postgres } = await findPostgresPrograms(runAs, logger)
    await stopOrphan(clusterIn(home.path), logger)
    const { path: cluster, password } = await openCluster(home, initdb, isDurable)

    const sockets = await createSocketFolder(SOCKET_FOLDER_NAME)
    try {
      if ('uid' in runAs) await chown(sockets.path, runAs.uid, runAs.gid)
      const socketFolder = sockets.path
      const server = { postgres, cluster, socketFolder, port: PORT, runAs, isDurable, logger }
      const connection = connectionTo(socketFolder, PORT, password)
      return new EmbeddedPostgres(connection, server, sockets, await launchServer(server))
    } catch (error) {
      await sockets.remove()
      throw error
    }
  }

  get pid(): number {
    return this.#server.pid
  }

  /** Resolves when its process is gone. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#server.stop()
    await this.#keeping
    await this.#sockets.remove()
  }

  async #keepRunning(): Promise<void> {
    const { signal } = this.#stopping
    const { logger } = this.#options
    for (;;) {
      const how = await this.#server.ended
      if (signal.aborted) return
      logger.error({}, `PostgreSQL ended by itself (${how}); it is started again`)
      await this.#restart(signal)
      // Told to stop in the middle of a start: the one that was stopped is not the one that runs now.
      if (signal.aborted) await this.#server.stop()
    }
  }

  async #restart(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await sleep(RESTART_DELAY_MS, undefined, { signal }).catch(() => {})
      if (signal.aborted) return
      try {
        this.#server = await launchServer(this.#options)
        return
      } catch (error) {
        this.#options.logger.error({ err: error }, 'PostgreSQL could not be started again')
      }
    }
  }
}

/** @returns how to reach the server of another Headrace on this data folder; null where none listens */
export async function findEmbedded(dataDir: string): Promise<Connection | null> {
  const home = join(dataDir, 'postgres')
  const postmaster = await readPostmaster(clusterIn(home))
  if (!postmaster?.isReady) return null
  const password = await readFile(passwordFileIn(home), 'utf8')
  return connectionTo(postmaster.socketFolder, postmaster.port, password)
}

function connectionTo(host: string, port: number, password: string): Connection {
  return { host, port, user: CLUSTER_USER, password, database: DATABASE }
}
