// The encoder of each format.

import { CsvEncoder } from './csv.ts'
import { JsonlEncoder } from './jsonl.ts'
import { ParquetEncoder } from './parquet.ts'
import { exportColumns } from '../db/export-columns.ts'
import type { Encoder, Format } from './format.ts'

export interface FormatOptions {
  format: Format
  withBodies: boolean
  /** CSV: cells that a spreadsheet would take for a formula stay as they are */
  keepFormulas?: boolean
}

/** @param isContinued CSV without its first line, to be appended to what is there */
export function createEncoder(options: FormatOptions, isContinued: boolean): Encoder {
  const { format, withBodies, keepFormulas = false } = options
  const columns = exportColumns(withBodies)
  switch (format) {
    case 'jsonl':
      return new JsonlEncoder(columns)
    case 'csv':
      return new CsvEncoder(columns, { isContinued, keepFormulas })
    case 'parquet':
      return new ParquetEncoder(columns)
  }
}
