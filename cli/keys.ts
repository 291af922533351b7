// `headrace keys …`: make, list and revoke API keys.
//
// They live in the database. Where a server runs on this data folder its database is used, else one is started for the
// command.
//
// Exit codes: 0 done, 1 it failed, 2 the command makes no sense.

import { setTimeout as sleep } from 'node:timers/promises'

import { Command, InvalidArgumentError, Option } from 'commander'
import type { Logger } from 'pino'

import { ROLES } from '../gateway/callers/caller.ts'
import { createApiKey, listApiKeys, revokeApiKey } from '../gateway/db/api-keys.ts'
import { DataFolderHeld, lockDataFolder } from '../gateway/data-folder.ts'
import { openDatabase, openPool } from '../gateway/db/database.ts'
import { findEmbedded } from '../gateway/db/embedded.ts'
import type { Role } from '../gateway/callers/caller.ts'
import type { ApiKey } from '../gateway/db/api-keys.ts'
import type { Database } from '../gateway/db/database.ts'
import type { Pool } from '../gateway/db/pool.ts'
import type { Settings } from '../gateway/settings.ts'
import type { Output } from './progress.ts'

export interface KeysCommandDeps {
  loadSettings(): Settings
  createLogger(settings: Settings): Logger
  stdout: Output
}

/** a server that is being started has its database up by then */
const PATIENCE_MS = 15_000
const POLL_MS = 100

export function keysCommand({ loadSettings, createLogger, stdout }: KeysCommandDeps): Command {
  const withPool = async (work: (pool: Pool) => Promise<string>) => {
    const settings = loadSettings()
    await using parts = new AsyncDisposableStack()
    const { pool } = await reachDatabase(settings, createLogger(settings), parts)
    stdout.write(`${await work(pool)}\n`)
  }

  const keys = new Command('keys').description('make, list and revoke API keys')
  keys
    .command('create')
    .description('make a key and show it, this once')
    .argument('<name>', 'who it is for: a person, a service, a project', checkName)
    .addOption(new Option('--role <role>', 'what it may do').choices(ROLES).default('caller'))
    .addHelpText('after', '\nExample:\n  headrace keys create support-chat')
    .action((name: string, { role }: { role: Role }) =>
      withPool((pool) => createApiKey(pool, name, role)),
    )
  keys
    .command('list')
    .description('list all keys, revoked ones too')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample:\n  headrace keys list --json')
    .action(({ json }: { json?: boolean }) =>
      withPool(async (pool) => {
        const all = await listApiKeys(pool)
        return json ? JSON.stringify(all, null, 2) : asTable(all)
      }),
    )
  keys
    .command('revoke')
    .description('make a key invalid; running gateways notice within seconds')
    .argument('<key>', 'its id or its name')
    .addHelpText('after', '\nExample:\n  headrace keys revoke support-chat')
    .action((key: string) =>
      withPool(async (pool) => `${await revokeApiKey(pool, key)} is revoked.`),
    )
  return keys
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

function asTable(keys: ApiKey[]): string {
  if (keys.length === 0) return 'There are no keys yet. Make one: headrace keys create NAME'
  const rows = keys.map(({ id, prefix, name, role, createdAt, revokedAt }) => [
    `${prefix}…`,
    name,
    role,
    createdAt.toISOString().slice(0, 19),
    revokedAt?.toISOString().slice(0, 19) ?? '-',
    id,
  ])
  const table = [['KEY', 'NAME', 'ROLE', 'CREATED', 'REVOKED', 'ID'], ...rows]
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)))
  return table
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

function checkName(name: string): string {
  if (/^[\p{L}\p{N}][\p{L}\p{N} ._@-]{0,63}$/u.test(name)) return name
  throw new InvalidArgumentError(
    'Allowed are letters, digits, spaces and . _ @ -, at most 64, the first a letter or digit.',
  )
}
