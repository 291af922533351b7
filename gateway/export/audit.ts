// Who took texts out: an entry of the audit log, before the first byte goes.

import { recordChange } from '../db/audit.ts'
import type { AskedFilter } from './manifest.ts'
import type { Actor } from '../db/audit.ts'
import type { Queryable } from '../db/pool.ts'
import type { Pseudonyms } from '../privacy/pseudonyms.ts'

interface ExportedTexts {
  format: string
  from?: Date
  to?: Date
  after: string | null
  limit: number | null
  filter: AskedFilter
}

export async function recordExportOfTexts(
  db: Queryable,
  actor: Actor,
  { filter, ...exported }: ExportedTexts,
  pseudonyms: Pick<Pseudonyms, 'made'>,
): Promise<void> {
  // The audit log outlives what is erased, and so has the pseudonym alone.
  const { end_user: endUsers, ...others } = filter
  const named = endUsers && { end_user: [endUsers].flat().map((name) => pseudonyms.made(name)) }
  await recordChange(db, actor, {
    action: 'exchange.export',
    kind: 'exchange',
    id: '*',
    name: 'texts of exchanges',
    before: null,
    after: { ...exported, filter: { ...others, ...named } },
  })
}
