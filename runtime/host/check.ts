// A body held against its shape.
//
// Knows: schemas and what breaks them. Does not know: which requests there are.

import { Pointer } from 'typebox/value'
import type { TSchema } from 'typebox'
import type { Validator } from 'typebox/compile'

import { Refusal } from './refusal.ts'

const GIVEN_MAX_CHARACTERS = 60

/** @throws Refusal that names the field at fault */
export function check<T>(validator: Validator<{}, TSchema, T>, body: unknown): T {
  if (validator.Check(body)) return body
  const errors = validator.Errors(body)
  // A field that is unknown or missing explains what else is wrong.
  const error =
    errors.find(({ keyword }) => keyword === 'additionalProperties' || keyword === 'required') ??
    errors[0]
  if (!error) throw new Error('A body that does not fit has no errors. This is a bug.')
  const where = error.instancePath === '' ? 'The body' : `'${fieldName(error.instancePath)}'`
  const given = JSON.stringify(Pointer.Get(body, error.instancePath)) ?? 'nothing'
  const shortened =
    given.length > GIVEN_MAX_CHARACTERS ? `${given.slice(0, GIVEN_MAX_CHARACTERS)}…` : given
  throw new Refusal(400, `${where} ${error.message}${detail(error.params)}; given: ${shortened}.`)
}

/** `/prompt/messages/0/role` → `prompt.messages[0].role` */
function fieldName(pointer: string): string {
  return pointer
    .slice(1)
    .replace(/\/(\d+)(?=\/|$)/g, '[$1]')
    .replaceAll('/', '.')
}

function detail(params: object): string {
  if ('additionalProperties' in params) return ` (${String(params.additionalProperties)})`
  return 'allowedValues' in params ? ` (${String(params.allowedValues)})` : ''
}
