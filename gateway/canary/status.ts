// How a model's canary is doing: what its guards said last, and what comes next.
//
// Knows: the tables' order. Does not know: HTTP.

import { findCanaryVerdict, findNewestVerdict } from '../db/canary-verdicts.ts'
import { listLiveDeployments } from '../db/deployments.ts'
import { nextStepOf } from './next-step.ts'
import { trialOf } from './trial.ts'
import type { CanaryVerdict } from '../db/canary-verdicts.ts'
import type { Queryable } from '../db/pool.ts'
import type { NextStep } from './next-step.ts'
import type { Trial } from './trial.ts'

export type CanaryStatus =
  | { trial: Trial; verdict: CanaryVerdict | null; next: NextStep }
  /** the last one there was */
  | { trial: null; verdict: CanaryVerdict }

/** @returns null where the model never had one that anybody looked at */
export async function canaryStatusOf(
  db: Queryable,
  model: string,
  now: Date,
): Promise<CanaryStatus | null> {
  const trial = trialOf(await listLiveDeployments(db, model))
  if (!trial) {
    const verdict = await findNewestVerdict(db, model)
    return verdict && { trial: null, verdict }
  }
  const verdict = await findCanaryVerdict(db, model, trial.began.number)
  // Of a look at another share the sample is no longer what counts.
  const looked = verdict?.step === trial.step.number ? verdict : null
  const samples = { canary: looked?.canarySample ?? 0, live: looked?.liveSample ?? 0 }
  return { trial, verdict, next: nextStepOf(trial, samples, verdict?.guards ?? null, now) }
}
