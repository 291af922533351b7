// Numbers and truths that came from the environment, where everything is a text.
//
// The schema says where one is meant: a key that is made of digits stays a text, and a price is a number whatever YAML
// would have made of it. What is no number there stays as it is, for the check to refuse.
//
// Knows: the schema's shape. Does not know: YAML, variables.

import type { TSchema } from 'typebox'

interface Shape {
  type?: string
  properties?: Record<string, Shape>
  /** of records */
  patternProperties?: Record<string, Shape>
  items?: Shape
}

const NUMBER = /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i

/**
 * @param isFilled whether a value came from the environment
 * @param onRead told each value that is made of one, which is as secret
 * @returns the value, with such texts as what they are meant to be
 */
export function readFilled(
  value: unknown,
  schema: TSchema,
  isFilled: (value: unknown) => boolean,
  onRead: (value: number | boolean) => void,
): unknown {
  const read = (value: unknown, shape: Shape | undefined): unknown => {
    if (shape === undefined) return value
    if (Array.isArray(value)) return value.map((item) => read(item, shape.items))
    if (typeof value === 'object' && value !== null) {
      const [ofAny] = Object.values(shape.patternProperties ?? {})
      const entries = Object.entries(value).map(([name, inner]) => {
        const known = shape.properties
        return [name, read(inner, known && Object.hasOwn(known, name) ? known[name] : ofAny)]
      })
      return Object.fromEntries(entries)
    }
    if (typeof value !== 'string' || !isFilled(value)) return value
    const meant = meantBy(value.trim(), shape.type)
    if (meant === null) return value
    onRead(meant)
    return meant
  }
  return read(value, schema)
}

function meantBy(text: string, type: string | undefined): number | boolean | null {
  switch (type) {
    case 'number':
    case 'integer':
      return NUMBER.test(text) ? Number(text) : null
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : null
    default:
      return null
  }
}
