// Versions on trial put to work: canaries walked along their steps, copies of requests for shadows, the evaluation gate.

import { newestEvaluations, listRequirements } from '../db/requirements.ts'
import { insertShadowAnswer } from '../db/shadow-answers.ts'
import { CanaryController } from './controller.ts'
import { evaluationGate } from './evaluation-gate.ts'
import { ShadowCopies } from './shadow/shadow-copies.ts'
import type { Pool } from '../db/pool.ts'
import type { Deployments } from '../deployments/open.ts'
import type { Gate } from '../deployments/switchboard.ts'
import type { Logger } from '../logger.ts'
import type { Privacy } from '../privacy/privacy.ts'

export interface TrialsOptions {
  pool: Pool
  deployments: Pick<Deployments, 'live' | 'switchboard'>
  privacy: Pick<Privacy, 'keptText'>
  logger: Logger
  intervalMs?: number
}

export interface Trials {
  canaries: CanaryController
  shadows: ShadowCopies
  close(): Promise<void>
}

export function openTrials(options: TrialsOptions): Trials {
  const { pool, deployments, privacy, logger, intervalMs } = options
  const canaries = new CanaryController({ pool, ...deployments, logger, intervalMs })
  const shadows = new ShadowCopies({
    keep: (row) => insertShadowAnswer(pool, row),
    privacy,
    logger,
  })
  canaries.start()
  return {
    canaries,
    shadows,
    async close() {
      await Promise.all([canaries.close(), shadows.close()])
    },
  }
}

/** By what is required of a model, and the catalog's evaluations of a version. */
export function evaluationGateOf(pool: Pool): Gate {
  return evaluationGate({
    requirementsOf: (model) => listRequirements(pool, model),
    evaluationsOf: (version) => newestEvaluations(pool, version),
  })
}
