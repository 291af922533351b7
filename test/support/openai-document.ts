// OpenAI's own OpenAPI document, where a copy of it lies beside the repository.

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { Ajv2020 } from 'ajv/dist/2020.js'

const DOCUMENT = join(import.meta.dirname, '../../../shared/reference/openai-openapi.json')

/** the reason to skip what needs it, or false */
export const skipWithoutDocument = existsSync(DOCUMENT) ? false : `${DOCUMENT} is not there`

export type CheckShape = (schema: string, body: unknown) => void

/** Fails where a body is not what the document says. */
export function openaiShapes(): CheckShape {
  const ajv = new Ajv2020({ strict: false, validateFormats: false })
  const document: unknown = JSON.parse(readFileSync(DOCUMENT, 'utf8'), spellOutNullable)
  ajv.addSchema(document as object, 'openai')
  return (schema, body) => {
    const validate = ajv.getSchema(`openai#/components/schemas/${schema}`)
    assert.ok(validate, `${schema} is not in the document`)
    const isValid = validate(body)
    assert.ok(isValid, `${schema}: ${ajv.errorsText(validate.errors)} in ${JSON.stringify(body)}`)
  }
}

/** The document says `nullable`, in the old way; JSON Schema has no such word. */
function spellOutNullable(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('nullable' in value)) return value
  const { nullable, ...schema } = value
  return nullable === true ? { anyOf: [schema, { type: 'null' }] } : schema
}
