// COPY: rows into a table, as lines of text, without a statement for each.
//
// Format: https://www.postgresql.org/docs/current/sql-copy.html, "Text Format": columns apart by tabs, \N for null,
// backslash escapes. A line holds no raw line end, so that lines can be kept, cut and joined as they are.

import { once } from 'node:events'
import { finished } from 'node:stream/promises'

import type pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'

export const NULL = String.raw`\N`

/** @param lines whole lines, each with its line end */
export async function copyInto(
  client: pg.ClientBase,
  table: string,
  columns: readonly string[],
  lines: Buffer,
): Promise<void> {
  const stream = client.query(copyFrom(`COPY ${table} (${columns.join(', ')}) FROM STDIN`))
  if (!stream.write(lines)) await once(stream, 'drain')
  stream.end()
  await finished(stream)
}

const ESCAPED = /[\\\t\n\r]/
const ESCAPES: Record<string, string> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' }

/** PostgreSQL's text has no NUL. */
export function copyText(value: string | null): string {
  if (value === null) return NULL
  const text = value.includes('\0') ? value.replaceAll('\0', '\ufffd') : value
  return ESCAPED.test(text) ? text.replace(/[\\\t\n\r]/g, (found) => ESCAPES[found] ?? found) : text
}

/** What copyText() made of a text. */
export function readCopiedText(field: string): string {
  if (!field.includes('\\')) return field
  const raw: Record<string, string> = { t: '\t', n: '\n', r: '\r' }
  return field.replace(/\\(.)/g, (_escape, code: string) => raw[code] ?? code)
}

/** What copyTexts() made of a list. */
export function readCopiedTexts(field: string): string[] {
  const array = readCopiedText(field)
  return [...array.matchAll(/"((?:[^"\\]|\\.)*)"/gs)].map(([, text = '']) =>
    text.replace(/\\(.)/gs, '$1'),
  )
}

export function copyNumber(value: number | null): string {
  return value === null ? NULL : String(value)
}

/** @param hex of a bytea */
export function copyBytes(hex: string | null): string {
  return hex === null ? NULL : String.raw`\\x` + hex
}

export function copyFlag(value: boolean): string {
  return value ? 't' : 'f'
}

/** As PostgreSQL writes arrays: https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO */
export function copyTexts(values: readonly string[] | null): string {
  if (values === null) return NULL
  const elements = values.map((value) => `"${value.replace(/["\\]/g, (found) => `\\${found}`)}"`)
  return copyText(`{${elements.join(',')}}`)
}

/** JSON's own escapes are kept: it has no raw tab or line end, so that only backslashes are in the way. */
export function copyJson(value: unknown): string {
  if (value === null || value === undefined) return NULL
  const json = JSON.stringify(value)
  return json.includes('\\') ? withoutHalves(json).replaceAll('\\', '\\\\') : json
}

/**
 * PostgreSQL's text holds neither NUL nor half a surrogate pair, which JSON writes as these escapes. Every escape is
 * matched, so that a backslash that is itself escaped is never taken for the start of one.
 */
function withoutHalves(json: string): string {
  if (!json.includes('\\u0000') && !json.includes('\\ud')) return json
  return json.replace(/\\(u0000|ud[0-9a-f]{3}|.)/g, (escape, code: string) =>
    code.length > 1 ? '\\ufffd' : escape,
  )
}
