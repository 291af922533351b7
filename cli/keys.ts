// `headrace keys …`: make, list, change, rotate and revoke API keys.
//
// They live in the database (database.ts). The audit log says that the command line was it.
//
// Exit codes: 0 done, 1 it failed, 2 the command makes no sense.

import { Command, Option } from 'commander'

import {
  changeKey,
  createKey,
  getKey,
  revokeKey,
  rotateKey,
} from '../gateway/administration/keys.ts'
import { getProject } from '../gateway/administration/projects.ts'
import { ROLES } from '../gateway/callers/caller.ts'
import { listApiKeys } from '../gateway/db/api-keys.ts'
import { keyBody } from '../gateway/dialects/admin/key.ts'
import {
  addLimitOptions,
  addPageOptions,
  bodiesOption,
  limitsOf,
  moreRows,
  orNull,
  pageOf,
  readDuration,
  readExpiry,
  readModels,
  readName,
  readSeconds,
  readTag,
  refuseNothing,
} from './arguments.ts'
import { withDatabase } from './database.ts'
import { asTable, json, timeCell } from './table.ts'
import type { BodyPolicy } from '../gateway/callers/body-policy.ts'
import type { Role } from '../gateway/callers/caller.ts'
import type { NewKey } from '../gateway/administration/keys.ts'
import type { ApiKey } from '../gateway/db/api-keys.ts'
import type { KeyPatch } from '../gateway/dialects/admin/key.ts'
import type { TagsPatch } from '../gateway/dialects/admin/fields.ts'
import type { LimitFlags, OrNothing, PageFlags } from './arguments.ts'
import type { DatabaseCommandDeps } from './database.ts'

interface KeyFlags extends LimitFlags {
  role?: Role
  project?: string
  models?: OrNothing<string[]>
  tag?: TagsPatch
  cacheSeconds?: OrNothing<number>
  bodies?: OrNothing<BodyPolicy>
  expires?: OrNothing<string>
  json?: boolean
}

export function keysCommand(deps: DatabaseCommandDeps): Command {
  const run = withDatabase(deps)
  const keys = new Command('keys').description('make, list, change, rotate and revoke API keys')

  addKeyOptions(
    keys
      .command('create')
      .description('make a key and show it, this once')
      .argument('<name>', 'who it is for: a person, a service', readName),
  )
    .addHelpText(
      'after',
      '\nExample:\n  headrace keys create support-chat' +
        '\n  headrace keys create ci --project search --models "small-*" --requests-per-minute 60 \\' +
        '\n    --monthly-usd 50 --expires 90d --tag team=search',
    )
    .action((name: string, flags: KeyFlags) =>
      run(async (pool, actor) => {
        const made = await createKey(pool, actor, { ...patchOf(flags), name })
        return showNew(made, flags)
      }),
    )

  addPageOptions(
    keys
      .command('list')
      .description('list keys, newest first, revoked ones too')
      .option('--project <project>', 'only those of a project: its id or name'),
  )
    .addHelpText('after', '\nExample:\n  headrace keys list --json')
    .action((flags: PageFlags & { project?: string }) =>
      run(async (pool) => {
        const { project } = flags
        const projectId = project === undefined ? undefined : (await getProject(pool, project)).id
        const filter = { projectId, withRevoked: true }
        const { rows, hasMore } = await listApiKeys(pool, filter, pageOf(flags))
        if (flags.json) return json(rows.map(keyBody))
        return table(rows) + moreRows(hasMore, rows.at(-1)?.id)
      }),
    )

  keys
    .command('show')
    .description('show all that is known of a key')
    .argument('<key>', 'its id or its name')
    .addHelpText('after', '\nExample:\n  headrace keys show support-chat')
    .action((key: string) => run(async (pool) => json(keyBody(await getKey(pool, key)))))

  addKeyOptions(
    keys
      .command('update')
      .description('change a key; what is not named stays; running gateways notice within seconds')
      .argument('<key>', 'its id or its name')
      .addOption(new Option('--name <name>', 'another name').argParser(readName)),
  )
    .addHelpText(
      'after',
      '\nExample:\n  headrace keys update support-chat --monthly-usd 100 --models all --expires never',
    )
    .action((key: string, { name, ...flags }: KeyFlags & { name?: string }) => {
      refuseNothing({ ...flags, name })
      return run(async (pool, actor) => {
        const changed = await changeKey(pool, actor, key, { ...patchOf(flags), name })
        return flags.json ? json(keyBody(changed)) : `${changed.name} is changed.`
      })
    })

  keys
    .command('rotate')
    .description('give a key another secret and show it, this once')
    .argument('<key>', 'its id or its name')
    .addOption(
      new Option('--overlap <while>', 'how long the one of before still works: 15m, 12h, 7d')
        .argParser(readDuration)
        .default(0, 'not at all'),
    )
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample:\n  headrace keys rotate support-chat --overlap 24h')
    .action((key: string, { overlap, ...flags }: { overlap: number; json?: boolean }) =>
      run(async (pool, actor) => showNew(await rotateKey(pool, actor, key, overlap), flags)),
    )

  keys
    .command('revoke')
    .description('make a key invalid, for good; running gateways notice within seconds')
    .argument('<key>', 'its id or its name')
    .addHelpText('after', '\nExample:\n  headrace keys revoke support-chat')
    .action((key: string) =>
      run(async (pool, actor) => `${(await revokeKey(pool, actor, key)).name} is revoked.`),
    )
  return keys
}

function addKeyOptions(command: Command): Command {
  command
    .addOption(new Option('--role <role>', 'what it may do; a new one: caller').choices(ROLES))
    .option('--project <project>', 'id or name of the project that it belongs to; none: to none')
    .addOption(
      new Option(
        '--models <models>',
        'that may be asked, separated by commas, * for any characters; all: all',
      ).argParser(readModels),
    )
  addLimitOptions(command)
  return command
    .addOption(
      new Option('--expires <when>', 'a time, a while such as 30d, or never').argParser(readExpiry),
    )
    .addOption(
      new Option(
        '--cache-seconds <seconds>',
        'how long answers to equal questions are given again; none: as the model says',
      ).argParser(readSeconds),
    )
    .addOption(bodiesOption())
    .addOption(
      new Option('--tag <name=value>', 'a word of your own; name= takes it away').argParser(
        readTag,
      ),
    )
    .option('--json', 'as JSON')
}

function patchOf(flags: KeyFlags): KeyPatch {
  const { role, project, models, tag, cacheSeconds, bodies, expires } = flags
  return {
    role,
    project: project === 'none' ? null : project,
    allowed_models: orNull(models),
    limits: limitsOf(flags),
    tags: tag,
    cache_seconds: orNull(cacheSeconds),
    bodies: orNull(bodies),
    expires_at: orNull(expires),
  }
}

function showNew({ apiKey, key }: NewKey, flags: { json?: boolean }): string {
  return flags.json ? json({ ...keyBody(apiKey), key }) : key
}

function table(keys: ApiKey[]): string {
  if (keys.length === 0) return 'There are no keys yet. Make one: headrace keys create NAME'
  const rows = keys.map((key) => [
    `${key.prefix}…`,
    key.name,
    key.role,
    key.project?.name ?? '-',
    timeCell(key.createdAt),
    timeCell(key.expiresAt),
    timeCell(key.revokedAt),
    key.id,
  ])
  const headings = ['KEY', 'NAME', 'ROLE', 'PROJECT', 'CREATED', 'EXPIRES', 'REVOKED', 'ID']
  return asTable(headings, rows)
}
