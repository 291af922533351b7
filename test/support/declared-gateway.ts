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

export interface DeclaredGatewayOptions {
  env?: Record<string, string>
  settings?: GatewayOptions['settings']
  deps?: GatewayOptions['deps']
}

export async function startDeclaredGateway(
  t: TestContext,
  declaration: Declaration,
  { env = {}, settings, deps }: DeclaredGatewayOptions = {},
) {
  const file = join(await makeFolder(t), 'headrace.yaml')
  // JSON is YAML too.
  await writeFile(file, JSON.stringify(declaration))
  const { logger } = recordLog()
  // Nobody listens there: the file has to do.
  const pool = createPool({ host: '127.0.0.1', port: 1 }, logger)
  t.after(() => pool.end())
  const library = { find: () => Promise.resolve(null), list: () => Promise.resolve([]) }
  const declared = await openDeclared({
    file,
    env,
    library,
    pool,
    keyring: new Keyring([]),
    logger: deps?.logger ?? logger,
  })
  t.after(() => declared.close())
  const defaultTarget = () => declared.routes.defaultTarget()
  return startGateway(t, { settings, deps: { routes: declared.routes, defaultTarget, ...deps } })
}
