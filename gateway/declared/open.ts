// What is declared, put to work: the file watched, the tables followed, upstreams made, routes kept up to date.

import { resolve } from 'node:path'

import { makeUpstream } from '../backends/upstream/make.ts'
import { ConfigFile, findConfigFile } from './config-file.ts'
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

export interface DeclaredOptions {
  /** null: headrace.yaml, where there is one */
  file: string | null
  /** where it is looked for: the first that is there counts, whatever is in the others */
  folders?: string[]
  env: Record<string, string | undefined>
  /** what is not declared */
  library: Routes
  /** of the tables that the admin API fills */
  pool: Pool
  keyring: Keyring
  /** what the file says is to be taken out of texts that are kept redacted */
  usePatterns?: (patterns: Record<string, string>) => void
  /** what the file says of who is to be told of deployments */
  useWebhooks?: (webhooks: { url: string; secret: string }[]) => void
  logger: Logger
}

export interface Declared {
  routes: DeclaredRoutes
  upstreams: UpstreamAdministration
  models: ModelAdministration
  /** null where there is no file */
  fileState: () => ConfigFileState | null
  storedState: () => StoredState
  /** of upstreams that were asked */
  certificates: () => Iterable<{ upstream: string; endsMs: number }>
  close(): Promise<void>
}

/** @throws Error with everything that is wrong with the file */
export async function openDeclared(options: DeclaredOptions): Promise<Declared> {
  const { library, pool, keyring, logger } = options
  await using opened = new AsyncDisposableStack()
  const upstreams = new Upstreams(makeUpstream)
  opened.defer(() => upstreams.close())
  const routes = new DeclaredRoutes(library, upstreams)
  const sources = new Sources((declaration) => {
    routes.declare(declaration)
    options.usePatterns?.(declaration.redact ?? {})
    options.useWebhooks?.(declaration.webhooks ?? [])
  })
  const onDeclaration = sources.fromStore.bind(sources)
  const stored = await StoredDeclarations.open({ pool, keyring, logger, onDeclaration })
  opened.defer(() => stored.close())
  const config = await openFile(options, sources)
  opened.defer(() => config?.close())

  const deps = { pool, keyring, sources, stored }
  const parts = opened.move()
  return {
    routes,
    upstreams: new UpstreamAdministration(deps),
    models: new ModelAdministration(deps),
    fileState: () => config?.state ?? null,
    storedState: () => stored.state,
    certificates: () => upstreams.certificates(),
    close: () => parts.disposeAsync(),
  }
}

async function openFile(
  { file: given, folders = [], env, logger }: DeclaredOptions,
  sources: Sources,
): Promise<ConfigFile | null> {
  const file = findConfigFile(given, folders)
  if (file === null) return null
  logger.info({ file: resolve(file) }, 'upstreams and models are declared in a file')
  const onDeclaration = sources.fromFile.bind(sources)
  return ConfigFile.open({ file: resolve(file), env, logger, onDeclaration })
}
