// Whether versions may get traffic by what they were measured at: every requirement of the model is met by the newest
// value of its dataset and metric, on every split that it was measured on. If the newest of all counted, a good value on
// what a version was trained on would hide a bad one.
//
// Whoever overrides it says why, and the ledger keeps that with what was not met.
//
// Knows: requirements, values. Does not know: where they are kept, how versions are deployed.

import { GatewayError } from '../errors.ts'
import { versionsOf } from '../deployments/next-state.ts'
import type { Measured, Requirement } from '../db/requirements.ts'
import type { Gate } from '../deployments/switchboard.ts'

export interface Evaluations {
  requirementsOf(model: string): Promise<Requirement[]>
  /** of each dataset, split and metric the newest */
  evaluationsOf(version: string): Promise<Measured[]>
}

/** A requirement that isn't met. */
interface Shortfall extends Requirement {
  version: string
  /** '' where the dataset has none */
  split: string
  /** null: it was never measured */
  value: number | null
}

/** @returns what keeps the version from being deployed; nothing where all is well */
async function checkGate(
  { requirementsOf, evaluationsOf }: Evaluations,
  version: string,
): Promise<Shortfall[]> {
  const requirements = await requirementsOf(version.slice(0, version.lastIndexOf('@')))
  if (requirements.length === 0) return []
  const measured = await evaluationsOf(version)
  return requirements.flatMap((requirement): Shortfall[] => {
    const { dataset, metric, min, max } = requirement
    const own = measured.filter((each) => each.dataset === dataset && each.metric === metric)
    if (own.length === 0) return [{ version, ...requirement, split: '', value: null }]
    return own
      .filter(({ value }) => value < (min ?? -Infinity) || value > (max ?? Infinity))
      .map(({ split, value }) => ({ version, ...requirement, split, value }))
  })
}

/** For whoever switches traffic: versions that get some, and got none before. A shadow's answers nobody sees. */
export function evaluationGate(evaluations: Evaluations): Gate {
  return async (_model, state, before, { override = false, reason }) => {
    const known = new Set(before ? versionsOf({ ...before, shadow: null }) : [])
    const unknown = versionsOf({ ...state, shadow: null }).filter((version) => !known.has(version))
    const checked = await Promise.all(unknown.map((version) => checkGate(evaluations, version)))
    const shortfalls = checked.flat()
    if (shortfalls.length === 0) return null
    const missing = shortfalls.map(wordsOf).join('; ')
    if (!override) {
      throw new GatewayError(
        'evaluation_missing',
        `Evaluations are missing or out of bounds: ${missing}. Nothing was changed. Tell them to the catalog ` +
          "(headrace catalog evaluate), or deploy with 'override': true (--override) and a 'reason'.",
        { param: 'version' },
      )
    }
    if (reason) return `Overridden: ${missing}.`
    throw new GatewayError(
      'missing_required_parameter',
      "Whoever overrides the evaluation gate says why: send a 'reason'.",
      { param: 'reason' },
    )
  }
}

function wordsOf({ version, dataset, split, metric, min, max, value }: Shortfall): string {
  const bounds = [
    ...(min === null ? [] : [`at least ${min}`]),
    ...(max === null ? [] : [`at most ${max}`]),
  ]
  const is = value === null ? 'was not measured' : `is ${value}`
  const where = split === '' ? dataset : `${dataset}, ${split},`
  return `${metric} on ${where} of ${version} ${is} (required: ${bounds.join(' and ')})`
}
