// Evaluations told by whoever measured: appended, with one row of the audit log for all that were told at once.
//
// Knows: what may be told. Does not know: HTTP, the command line, how anything was measured.

import { randomUUIDv7 } from 'node:crypto'

import { recordChange } from '../db/audit.ts'
import { insertEvaluations } from '../db/catalog-evaluations.ts'
import { lockVersion } from '../db/catalog-versions.ts'
import { inTransaction } from '../db/transaction.ts'
import { evaluationBody } from '../dialects/admin/catalog-evaluation.ts'
import { storable } from '../dialects/admin/feedback.ts'
import { readTime } from '../dialects/admin/fields.ts'
import { GatewayError } from '../errors.ts'
import { noVersion } from './versions.ts'
import type { Actor } from '../db/audit.ts'
import type { Evaluation } from '../db/catalog-evaluations.ts'
import type { Pool } from '../db/pool.ts'
import type { EvaluationDraft } from '../dialects/admin/catalog-evaluation.ts'

/** @throws GatewayError `version_not_found`, `invalid_value` */
export async function tellEvaluations(
  pool: Pool,
  actor: Actor,
  versionId: string,
  drafts: readonly EvaluationDraft[],
): Promise<Evaluation[]> {
  const now = new Date()
  return inTransaction(pool, async (transaction) => {
    const version = await lockVersion(transaction, versionId)
    if (!version || version.state === 'deleted') throw noVersion(versionId)
    const evaluations = drafts.map((draft, index): Evaluation => {
      const { measured_at: at, higher_is_better: higherIsBetter = true } = draft
      const measuredAt = at === undefined ? now : readTime(at, `evaluations[${index}].measured_at`)
      if (measuredAt.getTime() > now.getTime() + HOUR_MS) throw fromTheFuture(measuredAt, index)
      return {
        id: randomUUIDv7(),
        model: version.model,
        version: versionId,
        dataset: storable(draft.dataset),
        split: storable(draft.split) ?? '',
        metric: storable(draft.metric),
        value: draft.value,
        higherIsBetter,
        sampleSize: draft.sample_size ?? null,
        run: storable(draft.run) ?? null,
        measuredAt,
        measuredBy: storable(draft.measured_by) ?? actor.name,
      }
    })
    await insertEvaluations(transaction, evaluations)
    await recordChange(transaction, actor, {
      action: 'catalog_version.evaluate',
      kind: 'catalog_version',
      id: versionId,
      name: versionId,
      before: null,
      after: { evaluations: evaluations.map(evaluationBody) },
    })
    return evaluations
  })
}

/** by clocks that are ahead */
const HOUR_MS = 60 * 60_000

/** It would be the newest one for as long as it takes, and hide those that are measured meanwhile. */
function fromTheFuture(measuredAt: Date, index: number): GatewayError {
  const param = `evaluations[${index}].measured_at`
  const message = `'${param}' must not be in the future; got ${measuredAt.toISOString()}.`
  return new GatewayError('invalid_value', message, { param })
}
