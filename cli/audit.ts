// `headrace audit`: who changed what.

import { Command, Option } from 'commander'

import { AUDITED_KINDS, listChanges } from '../gateway/db/audit.ts'
import { auditBody } from '../gateway/dialects/admin/audit.ts'
import { addPageOptions, moreRows, pageOf, readTime } from './arguments.ts'
import { withDatabase } from './database.ts'
import { asTable, json, timeCell } from './table.ts'
import type { AuditedKind, AuditEntry } from '../gateway/db/audit.ts'
import type { PageFlags } from './arguments.ts'
import type { DatabaseCommandDeps } from './database.ts'

interface AuditFlags extends PageFlags {
  kind?: AuditedKind
  target?: string
  actor?: string
  action?: string
  since?: Date
  until?: Date
}

export function auditCommand(deps: DatabaseCommandDeps): Command {
  const run = withDatabase(deps)
  return addPageOptions(
    new Command('audit')
      .description('list who changed what, newest first')
      .addOption(new Option('--kind <kind>', 'only of these').choices(AUDITED_KINDS))
      .option('--target <thing>', 'only of this: its id or name')
      .option('--actor <who>', 'only by this one: id or name')
      .option('--action <action>', 'only this: key.create, key.revoke, …')
      .addOption(new Option('--since <time>', 'from this time on').argParser(readTime))
      .addOption(new Option('--until <time>', 'before this time').argParser(readTime)),
  )
    .addHelpText('after', '\nExample:\n  headrace audit --target support-chat --json')
    .action((flags: AuditFlags) =>
      run(async (pool) => {
        const { kind, target: object, actor, action, since, until } = flags
        const filter = { kind, object, actor, action, since, until }
        const { rows, hasMore } = await listChanges(pool, filter, pageOf(flags))
        if (flags.json) return json(rows.map(auditBody))
        return table(rows) + moreRows(hasMore, rows.at(-1)?.entryId)
      }),
    )
}

function table(entries: AuditEntry[]): string {
  if (entries.length === 0) return 'Nothing was changed.'
  const rows = entries.map(({ at, actor, action, name, before, after }) => [
    timeCell(at),
    actor.name,
    actor.via.replace('_', ' '),
    action,
    name,
    changedFields(before, after),
  ])
  return asTable(['WHEN', 'WHO', 'VIA', 'ACTION', 'WHAT', 'CHANGED'], rows)
}

/** Names alone; --json has the values. */
function changedFields(before: object | null, after: object | null): string {
  if (!before || !after) return '-'
  const old = new Map(Object.entries(before))
  const names = Object.entries(after)
    .filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(old.get(name)))
    .map(([name]) => name)
  return (
    names
      .filter((name) => name !== 'updated_at')
      .sort()
      .join(', ') || '-'
  )
}
