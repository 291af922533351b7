// What is declared, put to work: the file watched, the tables followed, upstreams made, routes kept up to date.

import { existsSync } from 'node:fs'
import { resolve } from 'node:path'

import { makeUpstream } from '../backends/upstream/make.ts'
import { ConfigFile } from './config-file.ts'
import { ModelAdministration } from './model-administration.ts'
import { DeclaredRoutes } from './routes.ts'
import { Sources } from './sources.ts'
import { StoredDeclarations } from './stored-declarations.ts'
import { UpstreamAdministration } from './upstream-administration.ts'
import { Upstreams } from './upstreams.ts'
import type { ConfigFileState } from './config-file.ts'
import type { Pool } from '../db/pool.ts'
import type { Logger } from '../logger.ts'
import type { Routes } from '../routing/route.ts'
import type { Keyring } from '../secrets.ts'
import type { StoredState } from './stored-declarations.ts'

const STANDARD_FILE = 'headrace.yaml'

export interface DeclaredOptions {
  /** null: headrace.yaml of the working folder, where there is one */
  file: string | null
  env: Record<string, string | undefined>
  /** what is not declared */
  library: Routes
  /** of the tables that the admin API fills */
  pool: Pool
  keyring: Keyring
  logger: Logger
}

export interface Declared {
  routes: DeclaredRoutes
  upstreams: UpstreamAdministration
  models: ModelAdministration
  /** null where there is no file */
  fileState: () => ConfigFileState | null
  storedState: () => StoredState
  close(): Promise<void>
}

/** @throws Error with everything that is wrong with the file */
export async function openDeclared(options: DeclaredOptions): Promise<Declared> {
  const { env, library, pool, keyring, logger } = options
  await using opened = new AsyncDisposableStack()
  const upstreams = new Upstreams(makeUpstream)
  opened.defer(() => upstreams.close())
  const routes = new DeclaredRoutes(library, upstreams)
  const sources = new Sources((declaration) => routes.declare(declaration))
  const onDeclaration = sources.fromStore.bind(sources)
  const stored = await StoredDeclarations.open({ pool, keyring, logger, onDeclaration })
  opened.defer(() => stored.close())
  const config = await openFile(options.file, env, sources, logger)
  opened.defer(() => config?.close())

  const deps = { pool, keyring, sources, stored }
  const parts = opened.move()
  return {
    routes,
    upstreams: new UpstreamAdministration(deps),
    models: new ModelAdministration(deps),
    fileState: () => config?.state ?? null,
    storedState: () => stored.state,
    close: () => parts.disposeAsync(),
  }
}

async function openFile(
  given: string | null,
  env: DeclaredOptions['env'],
  sources: Sources,
  logger: Logger,
): Promise<ConfigFile | null> {
  const file = given ?? (existsSync(STANDARD_FILE) ? STANDARD_FILE : null)
  if (file === null) return null
  const onDeclaration = sources.fromFile.bind(sources)
  return ConfigFile.open({ file: resolve(file), env, logger, onDeclaration })
}
