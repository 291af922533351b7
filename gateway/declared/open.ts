// What is declared, put to work: the file watched, upstreams made, routes kept up to date.

import { existsSync } from 'node:fs'
import { resolve } from 'node:path'

import { makeUpstream } from '../backends/upstream/make.ts'
import { ConfigFile } from './config-file.ts'
import { DeclaredRoutes } from './routes.ts'
import { Upstreams } from './upstreams.ts'
import type { ConfigFileState } from './config-file.ts'
import type { Logger } from '../logger.ts'
import type { Routes } from '../routing/route.ts'

const STANDARD_FILE = 'headrace.yaml'

export interface DeclaredOptions {
  /** null: headrace.yaml of the working folder, where there is one */
  file: string | null
  env: Record<string, string | undefined>
  /** what is not declared */
  library: Routes
  logger: Logger
}

export interface Declared {
  routes: DeclaredRoutes
  /** null where there is no file */
  readonly state: ConfigFileState | null
  close(): Promise<void>
}

/** @throws Error with everything that is wrong with the file */
export async function openDeclared(options: DeclaredOptions): Promise<Declared> {
  const { env, library, logger } = options
  const upstreams = new Upstreams(makeUpstream)
  const routes = new DeclaredRoutes(library, upstreams)
  const file = options.file ?? (existsSync(STANDARD_FILE) ? STANDARD_FILE : null)
  const config =
    file === null
      ? null
      : await ConfigFile.open({
          file: resolve(file),
          env,
          logger,
          onDeclaration: (declaration) => routes.declare(declaration),
        })
  return {
    routes,
    get state() {
      return config?.state ?? null
    },
    async close() {
      config?.close()
      await upstreams.close()
    },
  }
}
