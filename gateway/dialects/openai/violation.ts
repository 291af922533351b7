// What a schema found wrong with a body, as a sentence: what was wrong, what was given, what is allowed.
//
// Knows: ajv's errors, with `verbose` on. Does not know: the schemas.

import { GatewayError } from '../../errors.ts'

/** The part of ajv's ErrorObject that is read here. */
export interface Violation {
  keyword: string
  instancePath: string
  params: Record<string, unknown>
  message?: string
  data?: unknown
  parentSchema?: SchemaPart
}

/** What a schema allows, as far as it is put into words. */
interface SchemaPart {
  title?: string
  type?: string | string[]
  enum?: unknown[]
  const?: unknown
  minimum?: number
  exclusiveMinimum?: number
  maximum?: number
  minItems?: number
  maxItems?: number
  minLength?: number
  maxLength?: number
  /** of a body of several forms, each with the value that says so */
  oneOf?: { properties?: Record<string, SchemaPart> }[]
}

const GIVEN_MAX_CHARACTERS = 60

export function fromViolations(violations: Violation[]): GatewayError {
  // A union reports each of its branches first and itself last; only the last says what the value may be.
  const violation = violations.findLast(({ keyword }) => keyword === 'anyOf') ?? violations[0]
  if (!violation) return new GatewayError('bad_request', 'The request is not valid.')
  const path = paramPath(violation.instancePath)
  const { keyword, params, parentSchema: schema = {}, data } = violation

  if (keyword === 'required') {
    const param = join(path, String(params['missingProperty']))
    return refuse('missing_required_parameter', param, `Missing required parameter: '${param}'.`)
  }
  if (keyword === 'additionalProperties') {
    const param = join(path, String(params['additionalProperty']))
    return refuse('unknown_parameter', param, `Unknown parameter: '${param}'.`)
  }
  if (keyword === 'discriminator') {
    const { tag, tagValue } = params as { tag: string; tagValue: unknown }
    const known = (schema.oneOf ?? []).map(({ properties }) => properties?.[tag]?.const)
    const rule = allowed('enum', { enum: known })
    const code = typeof tagValue === 'string' ? 'invalid_value' : 'invalid_type'
    const param = join(path, tag)
    return refuse(code, param, `'${param}' must be ${rule}; got ${given(tagValue)}.`)
  }
  if (path === '') {
    return new GatewayError(
      'invalid_type',
      `The request body must be a JSON object; got ${given(data)}.`,
    )
  }
  const isOfWrongType = violations.every((each) => each.keyword === 'type' || each === violation)
  const code =
    keyword === 'type' || (keyword === 'anyOf' && isOfWrongType) ? 'invalid_type' : 'invalid_value'
  return refuse(code, path, `'${path}' must be ${allowed(keyword, schema)}; got ${given(data)}.`)
}

function refuse(
  code: 'missing_required_parameter' | 'unknown_parameter' | 'invalid_type' | 'invalid_value',
  param: string,
  message: string,
) {
  return new GatewayError(code, message, { param })
}

function allowed(keyword: string, schema: SchemaPart): string {
  if (schema.title) return schema.title
  const { minimum, exclusiveMinimum, maximum, minItems, maxItems, minLength, maxLength } = schema
  switch (keyword) {
    case 'type':
    case 'minimum':
    case 'exclusiveMinimum':
    case 'maximum':
      return typeWords(schema.type) + range(minimum, exclusiveMinimum, maximum)
    case 'minItems':
    case 'maxItems':
      return `an array${range(minItems, undefined, maxItems)} items long`
    case 'minLength':
    case 'maxLength':
      return `a string${range(minLength, undefined, maxLength)} characters long`
    case 'enum':
      return `one of ${(schema.enum ?? []).map((value) => JSON.stringify(value)).join(', ')}`
    case 'const':
      return JSON.stringify(schema.const)
    default:
      return `valid (${keyword})`
  }
}

function range(minimum?: number, exclusiveMinimum?: number, maximum?: number): string {
  if (minimum !== undefined && maximum !== undefined) return ` from ${minimum} to ${maximum}`
  if (exclusiveMinimum !== undefined && maximum !== undefined) {
    return ` above ${exclusiveMinimum} and up to ${maximum}`
  }
  if (minimum !== undefined) return ` of at least ${minimum}`
  if (exclusiveMinimum !== undefined) return ` above ${exclusiveMinimum}`
  return maximum === undefined ? '' : ` of at most ${maximum}`
}

const TYPE_WORDS: Record<string, string> = {
  array: 'an array',
  object: 'an object',
  integer: 'an integer',
  null: 'null',
}

function typeWords(type: string | string[] = []): string {
  // null stands for "not set": nobody has to be told.
  const names = [type].flat().filter((name) => name !== 'null')
  return names.map((name) => TYPE_WORDS[name] ?? `a ${name}`).join(' or ')
}

/** A value, short enough to be quoted. */
export function given(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (Array.isArray(value)) return `an array of ${value.length}`
  if (typeof value === 'object' && value !== null) return 'an object'
  // JSON has no word for what its parser makes of 1e999.
  const json = typeof value === 'number' ? String(value) : JSON.stringify(value)
  return json.length <= GIVEN_MAX_CHARACTERS ? json : `${json.slice(0, GIVEN_MAX_CHARACTERS)}…`
}

/** `/messages/0/role` → `messages[0].role` */
function paramPath(pointer: string): string {
  let path = ''
  for (const escaped of pointer.split('/').slice(1)) {
    const key = escaped.replaceAll('~1', '/').replaceAll('~0', '~')
    path = /^\d+$/.test(key) ? `${path}[${key}]` : join(path, key)
  }
  return path
}

function join(path: string, key: string): string {
  const short = key.length <= GIVEN_MAX_CHARACTERS ? key : `${key.slice(0, GIVEN_MAX_CHARACTERS)}…`
  return path === '' ? short : `${path}.${short}`
}
