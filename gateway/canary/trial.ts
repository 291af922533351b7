// What of a model's ledger is about its present canary: when it began, and since when it has its present share.
//
// All of it is in the ledger, so that a gateway that starts, or another one, goes on where the last one was.
//
// Knows: entries. Does not know: SQL, figures.

import type { Deployment } from '../db/deployments.ts'
import type { Canary } from '../deployments/state.ts'

type Entry = Pick<Deployment, 'id' | 'number' | 'at' | 'action' | 'model' | 'state'>

export interface Trial {
  model: string
  canary: Canary
  /** versions that it is compared with */
  live: string[]
  /** the entry that began it */
  began: Entry
  /** the entry since which it has its present share */
  step: Entry
  /** the entry that is live */
  now: Entry
}

/** @param entries all of a model's that were live, oldest first; @returns null where the newest has no canary */
export function trialOf(entries: readonly Entry[]): Trial | null {
  const now = entries.at(-1)
  if (!now?.state.canary) return null
  const { canary, targets } = now.state
  let [began, step] = [now, now]
  for (const entry of entries.toReversed()) {
    if (entry.state.canary?.version !== canary.version) break
    began = entry
    // Shares only grow: nothing with another one came between.
    if (entry.state.canary.share === canary.share) step = entry
    // Begun anew, whatever it was before.
    if (entry.action === 'canary' || entry.action === 'rollback') break
  }
  const live = targets.map(({ version }) => version)
  return { model: now.model, canary, live, began, step, now }
}

/** When the present share has been there for as long as it has to. */
export function bakedAt({ canary, step }: Trial): Date {
  return new Date(step.at.getTime() + canary.bakeSeconds * 1000)
}
