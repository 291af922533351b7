// The figures that guards compare, from the sums that the exchange log gives.

import { FAULTS_OF_VERSION } from './faults.ts'
import { readCanaryFigures } from '../db/canary-figures.ts'
import type { Figures, VersionFigures } from './guards.ts'
import type { Trial } from './trial.ts'
import type { Queryable } from '../db/pool.ts'

type Side = Awaited<ReturnType<typeof readCanaryFigures>>[number]

export async function readFigures(db: Queryable, trial: Trial): Promise<Figures> {
  const { model, canary, live, began, step } = trial
  const { timeToFirstToken = 1, total = 1 } = canary.guards
  const sides = await readCanaryFigures(db, {
    model,
    canary: canary.version,
    live,
    since: began.at,
    deployment: began.id,
    step: step.id,
    faults: FAULTS_OF_VERSION,
    factors: { timeToFirstToken, total },
  })
  const ofCanary = sides.find(({ isCanary }) => isCanary)
  return {
    canary: versionFigures(ofCanary),
    live: versionFigures(sides.find(({ isCanary }) => !isCanary)),
    above: {
      timeToFirstToken: ofCanary?.firstAbove ?? 0,
      total: ofCanary?.totalAbove ?? 0,
    },
  }
}

function versionFigures(side: Side | undefined): VersionFigures {
  return {
    errors: { count: side?.failed ?? 0, of: side?.seen ?? 0 },
    refusals: { count: side?.declined ?? 0, of: side?.completed ?? 0 },
    timeToFirstToken: { count: side?.firstCount ?? 0, p95: side?.firstP95 ?? null },
    total: { count: side?.totalCount ?? 0, p95: side?.totalP95 ?? null },
    feedback: {
      count: side?.rated ?? 0,
      sum: side?.ratings ?? 0,
      squares: side?.ratingSquares ?? 0,
    },
  }
}
