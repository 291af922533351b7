// What a day's folder says of itself, in `_manifest.json`: written last, so that whoever reads files that a manifest
// names never sees half of a day.
//
// A day that is exported again gets the next generation: new files, then a new manifest, then the old files go. Files of
// one generation never change.

import type { Format } from './format.ts'
import type { ExportRow } from '../db/export-columns.ts'

export const MANIFEST_NAME = '_manifest.json'

/** What rows have to be, as it was asked for: `{ version: 'guide@7', tag: ['a', 'b'] }`. */
export type AskedFilter = Record<string, string | string[]>

export interface ManifestFile {
  name: string
  rows: number
  bytes: number
  sha256: string
  first_id: string
  last_id: string
}

export interface Manifest {
  object: 'export.day'
  /** UTC: 2026-11-20 */
  day: string
  generation: number
  exported_at: string
  format: Format
  with_bodies: boolean
  /** rows from this time on */
  from: string
  /** rows before this time */
  to: string
  /** what else rows had to be; empty: all rows */
  filter: AskedFilter
  rows: number
  first_id: string | null
  last_id: string | null
  prompt_tokens: number
  cached_tokens: number
  completion_tokens: number
  /** a decimal number with nine places */
  cost_usd: string
  files: ManifestFile[]
  /** files of generations before, which are gone or about to go */
  replaces: string[]
}

/** Sums of a day's rows, as they pass. */
export class Totals {
  rows = 0
  firstId: string | null = null
  lastId: string | null = null
  promptTokens = 0
  cachedTokens = 0
  completionTokens = 0
  #nanoDollars = 0n

  add(rows: ExportRow[]): void {
    this.rows += rows.length
    this.firstId ??= rows[0]?.id ?? null
    this.lastId = rows.at(-1)?.id ?? this.lastId
    for (const row of rows) {
      this.promptTokens += Number(row['prompt_tokens'] ?? 0)
      this.cachedTokens += Number(row['cached_tokens'] ?? 0)
      this.completionTokens += Number(row['completion_tokens'] ?? 0)
      const usd = row['cost_usd']
      if (typeof usd === 'string') this.#nanoDollars += BigInt(usd.replace('.', ''))
    }
  }

  get costUsd(): string {
    const digits = String(this.#nanoDollars).padStart(10, '0')
    return `${digits.slice(0, -9)}.${digits.slice(-9)}`
  }
}
