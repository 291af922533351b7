// `metadata` as OpenAI has it: strings by name, within its bounds.

import { GatewayError } from '../../errors.ts'
import { given } from './violation.ts'

/** OpenAI's own bounds */
const MAX_NAMES = 16
const MAX_NAME_CHARACTERS = 64
const MAX_VALUE_CHARACTERS = 512

export type Metadata = Record<string, string>

/** @throws GatewayError that names what is out of bounds */
export function readMetadata(metadata: unknown): Metadata {
  if (metadata === undefined || metadata === null) return {}
  if (typeof metadata !== 'object' || Array.isArray(metadata)) {
    throw new GatewayError(
      'invalid_type',
      `'metadata' must be an object; got ${given(metadata)}.`,
      { param: 'metadata' },
    )
  }
  const entries = Object.entries(metadata)
  if (entries.length > MAX_NAMES || entries.some(([name]) => name.length > MAX_NAME_CHARACTERS)) {
    throw new GatewayError(
      'invalid_value',
      `'metadata' may have ${MAX_NAMES} names of up to ${MAX_NAME_CHARACTERS} characters; got ${entries.length} names.`,
      { param: 'metadata' },
    )
  }
  for (const [name, value] of entries) {
    if (typeof value === 'string' && value.length <= MAX_VALUE_CHARACTERS) continue
    const [code, allowed] =
      typeof value === 'string'
        ? (['invalid_value', `a string of up to ${MAX_VALUE_CHARACTERS} characters`] as const)
        : (['invalid_type', 'a string'] as const)
    const param = `metadata.${name}`
    throw new GatewayError(code, `'${param}' must be ${allowed}; got ${given(value)}.`, { param })
  }
  return metadata as Metadata
}
