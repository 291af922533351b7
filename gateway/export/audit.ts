// Who took texts out: an entry of the audit log, before the first byte goes.

import { recordChange } from '../db/audit.ts'
import type { ExportFilter } from './export-stream.ts'
import type { Actor } from '../db/audit.ts'
import type { Queryable } from '../db/pool.ts'

interface ExportedTexts {
  format: string
  from?: Date
  to?: Date
  after: string | null
  limit: number | null
  filter: ExportFilter
}

export async function recordExportOfTexts(
  db: Queryable,
  actor: Actor,
  exported: ExportedTexts,
): Promise<void> {
  await recordChange(db, actor, {
    action: 'exchange.export',
    kind: 'exchange',
    id: '*',
    name: 'texts of exchanges',
    before: null,
    after: exported,
  })
}
