// One end user's data, handed out or erased, each with its row of the audit log.
//
// Knows: by which names an end user is in the tables. Does not know: SQL, HTTP, the command line, who may do it.

import { recordChange } from '../db/audit.ts'
import { eraseEndUser, readEndUser } from '../db/end-users.ts'
import { getProject } from './projects.ts'
import type { Actor } from '../db/audit.ts'
import type { ExchangeFilter, FieldValue } from '../db/exchange-fields.ts'
import type { EndUserSelection, Erased } from '../db/end-users.ts'
import type { Pool } from '../db/pool.ts'
import type { Pseudonyms } from '../privacy/pseudonyms.ts'

export interface AskedEndUser {
  /** as callers name them */
  endUser: string
  /** id or name; undefined: whoever has the name, in all projects */
  project?: string
}

export interface EndUserDeps {
  pool: Pool
  pseudonyms: Pick<Pseudonyms, 'made'>
  actor: Actor
}

/** as much of a name as rows have */
const MAX_NAME_CHARACTERS = 256

/**
 * Lines of JSON, each with its line feed. That they were read is in the audit log before the first.
 * @throws GatewayError `project_not_found`
 */
export async function exportEndUser(
  { pool, pseudonyms, actor }: EndUserDeps,
  asked: AskedEndUser,
): Promise<AsyncGenerator<string>> {
  const selection = await selectionOf(pool, pseudonyms, asked)
  await recordChange(pool, actor, {
    action: 'end_user.export',
    ...named(asked, selection),
    before: null,
    after: null,
  })
  return lines(readEndUser(pool, selection))
}

/**
 * What is on its way to PostgreSQL isn't found: whoever asked a moment ago is asked about again a moment later.
 * @throws GatewayError `project_not_found`
 */
export async function forgetEndUser(
  { pool, pseudonyms, actor }: EndUserDeps,
  asked: AskedEndUser,
): Promise<Erased> {
  const selection = await selectionOf(pool, pseudonyms, asked)
  const erased = await eraseEndUser(pool, selection)
  await recordChange(pool, actor, {
    action: 'end_user.erase',
    ...named(asked, selection),
    before: null,
    after: erased,
  })
  return erased
}

async function selectionOf(
  pool: Pool,
  pseudonyms: Pick<Pseudonyms, 'made'>,
  { endUser, project }: AskedEndUser,
): Promise<EndUserSelection> {
  const name = endUser.slice(0, MAX_NAME_CHARACTERS)
  const projectId = project === undefined ? null : (await getProject(pool, project)).id
  return { names: [name, pseudonyms.made(name)], projectId }
}

/**
 * Rows have the name, or what stands for it where it may not be kept: whoever asks for one finds both. A name that is
 * always kept stays alone, as one value is found along its index.
 */
export function byAnyName(
  filter: ExchangeFilter,
  pseudonyms: Pick<Pseudonyms, 'of'>,
): ExchangeFilter {
  const equal = filter.equal.map(({ field, values }) => {
    if (field.name !== 'end_user') return { field, values }
    const names = values.flatMap<FieldValue | null>((value) =>
      typeof value === 'string' ? namesOf(value, pseudonyms) : value,
    )
    return { field, values: [...new Set(names)] }
  })
  return { ...filter, equal }
}

/** What rows may have for a name: as it is kept, or what stands for it. */
export function namesOf(endUser: string, pseudonyms: Pick<Pseudonyms, 'of'>): string[] {
  const name = endUser.slice(0, MAX_NAME_CHARACTERS)
  return [...new Set([name, pseudonyms.of(name) ?? name])]
}

/** The audit log outlives what is erased, and so has the pseudonym alone. */
function named({ project }: AskedEndUser, { names }: EndUserSelection) {
  const pseudonym = names[1]!
  return {
    kind: 'end_user' as const,
    id: pseudonym,
    name: project === undefined ? pseudonym : `${pseudonym} of ${project}`,
  }
}

async function* lines(texts: AsyncIterable<string>): AsyncGenerator<string> {
  for await (const text of texts) yield `${text}\n`
}
