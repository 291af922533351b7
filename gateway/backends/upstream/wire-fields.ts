// Looking into what an upstream sent, of which nothing is certain.
//
// What is missing reads as empty: an answer is only ever taken for whole because of what it says, never for want of
// anything else.

export type Fields = Record<string, unknown>

/** null for anything but an object */
export function objectOf(value: unknown): Fields | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Fields)
    : null
}

export function fieldsOf(value: unknown): Fields {
  return objectOf(value) ?? {}
}

export function listOf(value: unknown): Fields[] {
  return Array.isArray(value) ? value.map(fieldsOf) : []
}

export function stringOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** undefined where it is none */
export function countOf(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 ? value : undefined
}

/** undefined where it is none */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
