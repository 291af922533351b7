// CSV by RFC 4180: a line of names, CRLF, quotes where they are needed and doubled within. UTF-8 without a mark.
//
// Null is an empty cell, an empty text is "". Lists and JSON are cells of JSON. A text that a spreadsheet would take
// for a formula (it begins with = + - @, a tab or a carriage return) gets a quotation mark ' in front of it, unless
// told otherwise: what clients write must not run on the desk of whoever opens the file
// (https://owasp.org/www-community/attacks/CSV_Injection).

import type { Encoder } from './format.ts'
import type { ColumnKind, ExportColumn, ExportRow, ExportValue } from '../db/export-columns.ts'

export interface CsvOptions {
  /** without the line of names */
  isContinued: boolean
  keepFormulas: boolean
}

const LINE_END = '\r\n'
const FORMULA = /^[=+\-@\t\r]/
const QUOTED = /[",\r\n]/

export class CsvEncoder implements Encoder {
  readonly #columns: readonly ExportColumn[]
  readonly #keepFormulas: boolean
  #head: string

  constructor(columns: readonly ExportColumn[], { isContinued, keepFormulas }: CsvOptions) {
    this.#columns = columns
    this.#keepFormulas = keepFormulas
    this.#head = isContinued ? '' : columns.map(({ name }) => name).join(',') + LINE_END
  }

  encode(rows: ExportRow[]): Uint8Array {
    let text = this.#takeHead()
    for (const row of rows) {
      const cells = this.#columns.map(({ name, kind }) => this.#cell(row[name] ?? null, kind))
      text += cells.join(',') + LINE_END
    }
    return Buffer.from(text)
  }

  /** No rows are a table all the same. */
  end(): Uint8Array {
    return Buffer.from(this.#takeHead())
  }

  #takeHead(): string {
    const head = this.#head
    this.#head = ''
    return head
  }

  #cell(value: ExportValue, kind: ColumnKind): string {
    if (value === null) return ''
    if (value instanceof Date) return value.toISOString()
    if (typeof value === 'object') return quoted(JSON.stringify(value))
    if (typeof value !== 'string' || kind === 'usd') return String(value)
    return quoted(!this.#keepFormulas && FORMULA.test(value) ? `'${value}` : value)
  }
}

function quoted(text: string): string {
  return text === '' || QUOTED.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
