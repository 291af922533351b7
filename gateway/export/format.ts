// What a format is, and which there are: rows in, bytes out, as soon as they can be told.

import type { ExportRow } from '../db/export-columns.ts'

export const FORMATS = ['jsonl', 'csv', 'parquet'] as const
export type Format = (typeof FORMATS)[number]

export const CONTENT_TYPES: Record<Format, string> = {
  jsonl: 'application/jsonl; charset=utf-8',
  csv: 'text/csv; charset=utf-8',
  parquet: 'application/vnd.apache.parquet',
}

/** How far an export came: the next one goes on behind the last id. */
export interface ExportEnd {
  rows: number
  lastId: string | null
  /** a limit ended it, and there are more rows */
  hasMore: boolean
}

export interface Encoder {
  /** What can be told by now: perhaps nothing, where more rows are needed. */
  encode(rows: ExportRow[]): Uint8Array
  /** The rest. */
  end(end: ExportEnd): Uint8Array
}

export const NO_BYTES = new Uint8Array(0)
