// Values of a body that its schema leaves to the readers: what they have to be, and what is told where they aren't.

import { GatewayError } from '../../errors.ts'
import { given } from '../openai/violation.ts'

export type Fields = Record<string, unknown>

export function object(value: unknown, path: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields
  throw invalid(path, 'an object', value)
}

export function array(value: unknown, path: string, maxItems: number): unknown[] {
  if (Array.isArray(value) && value.length <= maxItems) return value
  throw invalid(path, `an array of at most ${maxItems} items`, value)
}

export function string(from: Fields, field: string, path: string): string {
  const value = from[field]
  if (typeof value === 'string') return value
  if (value === undefined) throw missing(`${path}.${field}`, 'a string')
  throw invalid(`${path}.${field}`, 'a string', value)
}

/** null for what is absent or null */
export function optionalString(from: Fields, field: string, path: string): string | null {
  return isAbsent(from[field]) ? null : string(from, field, path)
}

export function oneOf<Value extends string>(
  value: unknown,
  path: string,
  values: readonly Value[],
): Value {
  const found = values.find((allowed) => allowed === value)
  if (found !== undefined) return found
  const words = values.map((allowed) => JSON.stringify(allowed)).join(', ')
  throw new GatewayError(
    'invalid_value',
    `'${path}' must be one of ${words}; got ${given(value)}.`,
    {
      param: path,
    },
  )
}

export const isAbsent = (value: unknown): value is null | undefined =>
  value === undefined || value === null

export function invalid(param: string, allowed: string, value: unknown) {
  return new GatewayError('invalid_type', `'${param}' must be ${allowed}; got ${given(value)}.`, {
    param,
  })
}

export function missing(param: string, what: string) {
  return new GatewayError(
    'missing_required_parameter',
    `Missing required parameter: '${param}' (${what}).`,
    { param },
  )
}

export function unsupported(param: string, what: string, why: string) {
  return new GatewayError('unsupported_parameter', `${what} can't be honoured: ${why}.`, { param })
}
