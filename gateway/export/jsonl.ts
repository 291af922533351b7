// JSON lines: one object for each exchange, with every column, and nothing but such lines, so that any reader of JSON
// lines takes it. A download that broke off goes on behind the `id` of its last whole line.
//
// Money is a number with nine places; who adds it up exactly reads it as a decimal.

import { NO_BYTES } from './format.ts'
import type { Encoder } from './format.ts'
import type { ColumnKind, ExportColumn, ExportRow, ExportValue } from '../db/export-columns.ts'

export class JsonlEncoder implements Encoder {
  readonly #fields: { name: string; key: string; kind: ColumnKind }[]

  constructor(columns: readonly ExportColumn[]) {
    this.#fields = columns.map(({ name, kind }, place) => ({
      name,
      key: `${place === 0 ? '{' : ','}${JSON.stringify(name)}:`,
      kind,
    }))
  }

  encode(rows: ExportRow[]): Uint8Array {
    let text = ''
    for (const row of rows) {
      for (const { name, key, kind } of this.#fields) text += key + jsonOf(row[name] ?? null, kind)
      text += '}\n'
    }
    return Buffer.from(text)
  }

  end(): Uint8Array {
    return NO_BYTES
  }
}

function jsonOf(value: ExportValue, kind: ColumnKind): string {
  if (value === null) return 'null'
  // It is JSON's number already, and a double would lose places.
  if (kind === 'usd') return String(value)
  if (kind === 'json') return oneLine(String(value))
  return JSON.stringify(value)
}

/** Line ends between the parts of a JSON text are allowed there, and would end our line. */
function oneLine(json: string): string {
  return /[\n\r]/.test(json) ? json.replace(/[\n\r]/g, ' ') : json
}
