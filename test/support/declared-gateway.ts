// A gateway whose models are what a declaration says, and nothing else.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import { createPool } from '../../gateway/db/pool.ts'
import { openDeclared } from '../../gateway/declared/open.ts'
import { Keyring } from '../../gateway/secrets.ts'
import { makeFolder } from './folder.ts'
import { startGateway } from './gateway.ts'
import { recordLog } from './logger.ts'
import type { Declaration } from '../../gateway/declared/schema.ts'
import type { GatewayOptions } from './gateway.ts'
import type { Logger } from '../../gateway/logger.ts'
import type { Routes } from '../../gateway/routing/route.ts'

export interface DeclaredGatewayOptions {
  env?: Record<string, string>
  settings?: GatewayOptions['settings']
  deps?: GatewayOptions['deps']
}

const NO_LIBRARY: Routes = { find: () => Promise.resolve(null), list: () => Promise.resolve([]) }

/** What a declaration makes of itself; tables are not there: the file has to do. */
export async function openDeclaration(
  t: TestContext,
  declaration: Declaration,
  {
    env = {},
    logger = recordLog().logger,
    library = NO_LIBRARY,
  }: { env?: Record<string, string>; logger?: Logger; library?: Routes } = {},
) {
  const file = join(await makeFolder(t), 'headrace.yaml')
  // JSON is YAML too.
  await writeFile(file, JSON.stringify(declaration))
  // Nobody listens there.
  const pool = createPool({ host: '127.0.0.1', port: 1 }, recordLog().logger)
  t.after(() => pool.end())
  const keyring = new Keyring([])
  const declared = await openDeclared({ file, env, library, pool, keyring, logger })
  t.after(() => declared.close())
  return { routes: declared.routes, defaultTarget: () => declared.routes.defaultTarget() }
}

export async function startDeclaredGateway(
  t: TestContext,
  declaration: Declaration,
  { env, settings, deps }: DeclaredGatewayOptions = {},
) {
  const declared = await openDeclaration(t, declaration, { env, logger: deps?.logger })
  return startGateway(t, { settings, deps: { ...declared, ...deps } })
}
