// `headrace end-users …`: hand out, or erase, what is kept of one end user.
//
// Exit codes: 0 done, 1 it failed, 2 the command makes no sense.

import { Command } from 'commander'

import { exportEndUser, forgetEndUser } from '../gateway/administration/end-users.ts'
import { erasedBody } from '../gateway/dialects/admin/end-user.ts'
import { withDatabase } from './database.ts'
import { openPseudonyms } from './exchange-filter.ts'
import { json } from './table.ts'
import type { DatabaseCommandDeps } from './database.ts'

export interface EndUserCommandDeps extends DatabaseCommandDeps {
  /** to the standard output, no faster than it is read */
  writeBytes(chunks: AsyncIterable<Uint8Array>): Promise<void>
}

interface Flags {
  project?: string
}

export function endUsersCommand(deps: EndUserCommandDeps): Command {
  const run = withDatabase(deps)
  const endUsers = new Command('end-users').description(
    'hand out, or erase, what is kept of one end user',
  )
  const addOptions = (command: Command) =>
    command
      .argument('<end-user>', 'as callers name them')
      .option('--project <project>', 'only the one of this project: its id or name')

  addOptions(
    endUsers
      .command('export')
      .description(
        'write all that is kept of one end user to the standard output, as lines of JSON',
      ),
  )
    .addHelpText('after', '\nExample:\n  headrace end-users export user-17 > user-17.jsonl')
    .action((endUser: string, { project }: Flags) =>
      run(async (pool, actor) => {
        const pseudonyms = await openPseudonyms(pool)
        const lines = await exportEndUser({ pool, pseudonyms, actor }, { endUser, project })
        await deps.writeBytes(encoded(lines))
        return null
      }),
    )

  addOptions(
    endUsers
      .command('erase')
      .description('erase the texts and names of one end user, for good; figures stay'),
  )
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample:\n  headrace end-users erase user-17 --project support')
    .action((endUser: string, { project, ...flags }: Flags & { json?: boolean }) =>
      run(async (pool, actor) => {
        const pseudonyms = await openPseudonyms(pool)
        const erased = await forgetEndUser({ pool, pseudonyms, actor }, { endUser, project })
        if (flags.json) return json(erasedBody(erased))
        const { exchanges, texts, responses, feedback } = erased
        return `Erased: ${exchanges} exchanges (${texts} with texts), ${responses} responses, ${feedback} feedback.`
      }),
    )
  return endUsers
}

async function* encoded(lines: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  for await (const line of lines) yield Buffer.from(line)
}
