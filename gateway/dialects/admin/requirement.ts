// Requirements of a model in the admin API's wire format.

import { Type } from 'typebox'
import type { Static } from 'typebox'

import { GatewayError } from '../../errors.ts'
import { storable } from './feedback.ts'
import type { Requirement } from '../../db/requirements.ts'

const MAX_NAME_CHARACTERS = 256
const MAX_REQUIREMENTS = 100

const name = (description: string) =>
  Type.String({ minLength: 1, maxLength: MAX_NAME_CHARACTERS, description })
const bound = (description: string) =>
  Type.Optional(Type.Unsafe<number | null>({ type: ['number', 'null'], description }))

const RequirementBody = Type.Object(
  {
    dataset: name('As evaluations name it.'),
    metric: name('As evaluations name it: accuracy, wer, …'),
    min: bound('The newest value has to be at least that.'),
    max: bound('The newest value may be at most that.'),
  },
  { additionalProperties: false },
)

export const RequirementsDraft = Type.Object(
  { requirements: Type.Array(RequirementBody, { maxItems: MAX_REQUIREMENTS }) },
  { additionalProperties: false },
)

export const RequirementsBody = Type.Object({
  object: Type.Literal('requirements'),
  model: Type.String(),
  requirements: Type.Array(RequirementBody),
})

export function requirementsBody(
  model: string,
  requirements: Requirement[],
): Static<typeof RequirementsBody> {
  return { object: 'requirements', model, requirements }
}

export function readRequirements({
  requirements,
}: Static<typeof RequirementsDraft>): Requirement[] {
  const seen = new Map<string, number>()
  return requirements.map(({ dataset, metric, min = null, max = null }, index) => {
    const path = `requirements[${index}]`
    if (min === null && max === null) {
      throw new GatewayError(
        'missing_required_parameter',
        `A requirement needs a bound: send '${path}.min' or '${path}.max'.`,
        { param: `${path}.min` },
      )
    }
    if (min !== null && max !== null && min > max) {
      throw new GatewayError(
        'invalid_value',
        `'${path}.min' is ${min} and more than '${path}.max', ${max}: no value is between them.`,
        { param: `${path}.min` },
      )
    }
    const key = JSON.stringify([dataset, metric])
    const before = seen.get(key)
    if (before !== undefined) {
      throw new GatewayError(
        'invalid_value',
        `'${path}' and 'requirements[${before}]' are of the same dataset and metric; send one of them.`,
        { param: path },
      )
    }
    seen.set(key, index)
    return { dataset: storable(dataset), metric: storable(metric), min, max }
  })
}
