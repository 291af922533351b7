// Says in words what is wrong with a JSON document: which field, what was found, what is allowed.
//
// Knows: a schema's errors and the value they are about. Does not know: which document it is.

import type { TSchema } from 'typebox'
import { Errors } from 'typebox/value'

const SHOWN_CHARACTERS = 60

/** @returns one sentence for each field that breaks the schema, in the document's order; empty where none does */
export function schemaProblems(schema: TSchema, value: unknown): string[] {
  const demands = new Map<string, string[]>()
  const demand = (path: string, words: string) => {
    const known = demands.get(path) ?? []
    if (!known.includes(words)) demands.set(path, [...known, words])
  }
  for (const error of Errors(schema, value)) {
    switch (error.keyword) {
      case 'required':
        for (const name of error.params.requiredProperties) {
          demand(`${error.instancePath}/${name}`, 'must be there')
        }
        break
      case 'enum':
        demand(
          error.instancePath,
          `must be one of ${error.params.allowedValues.map(show).join(', ')}`,
        )
        break
      case 'const':
        demand(error.instancePath, `must be ${show(error.params.allowedValue)}`)
        break
      // The members of a union and the properties that are too many have spoken for themselves.
      case 'anyOf':
      case 'additionalProperties':
        break
      case 'boolean':
        demand(error.instancePath, 'is not a known field')
        break
      default: {
        const title = titleAt(schema, error.instancePath)
        demand(error.instancePath, title === undefined ? error.message : `must be ${title}`)
      }
    }
  }
  return [...demands].map(([path, words]) => sentence(path, valueAt(value, path), words))
}

function sentence(path: string, found: unknown, words: string[]): string {
  const field = path === '' ? 'the document' : path.slice(1).split('/').map(unescape).join('.')
  const allowed = words.join(' or ')
  return found === undefined ? `${field} ${allowed}` : `${field} is ${show(found)}: ${allowed}`
}

function valueAt(value: unknown, path: string): unknown {
  let found = value
  for (const key of path.split('/').slice(1)) {
    if (typeof found !== 'object' || found === null) return undefined
    found = Object.entries(found).find(([name]) => name === unescape(key))?.[1]
  }
  return found
}

/** What a schema says in words of the field that may be there. */
function titleAt(schema: TSchema, path: string): string | undefined {
  let at = schema as Nested | undefined
  for (const key of path.split('/').slice(1)) {
    at = at?.properties?.[unescape(key)] ?? at?.items ?? at?.additionalProperties
  }
  return at?.title
}

interface Nested {
  title?: string
  properties?: Record<string, Nested>
  items?: Nested
  additionalProperties?: Nested
}

/** A segment of a JSON pointer as the key it stands for. */
const unescape = (segment: string) => segment.replaceAll('~1', '/').replaceAll('~0', '~')

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'undefined'
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text
}
