// How quickly exchanges are found among a million of one day: first pages by filter, and by words.
//
// Each is read once when nobody has asked before it, and then several times; told is the first time and the median of
// the others.

import {
  EVERYDAY_CALLER,
  loadExchanges,
  loadWords,
  RARE_CALLER,
  RARE_WORD,
  settle,
} from './rows.ts'
import { EVERYTHING, fieldNamed } from '../../../gateway/db/exchange-fields.ts'
import { findExchangeIds } from '../../../gateway/db/exchange-pages.ts'
import { readExchanges } from '../../../gateway/db/exchange-rows.ts'
import { searchWords } from '../../../gateway/db/exchange-search.ts'
import { readOnly } from '../../../gateway/db/read-only.ts'
import type { Day } from './rows.ts'
import type { ExchangeFilter, FieldValue } from '../../../gateway/db/exchange-fields.ts'
import type { Pool } from '../../../gateway/db/pool.ts'

export interface Reading {
  what: string
  /** on the page */
  rows: number
  firstMs: number
  medianMs: number
  /** slowest of those after the first */
  mostMs: number
}

const TIMES = 7
const PAGE = 20

export async function loadDay(pool: Pool, day: Day): Promise<void> {
  await loadExchanges(pool, day)
  await settle(pool, ['exchanges'])
}

/** Takes several minutes for a million. */
export async function loadDaysWords(pool: Pool, day: Day): Promise<void> {
  await loadWords(pool, day)
  await settle(pool, ['exchange_words'])
}

const equal = (name: string, ...values: (FieldValue | null)[]): [string, ExchangeFilter] => [
  `${name} = ${values.join(' or ')}`,
  { ...EVERYTHING, equal: [{ field: fieldNamed(name), values }] },
]
const atLeast = (name: string, min: number): [string, ExchangeFilter] => [
  `${name} ≥ ${min}`,
  { ...EVERYTHING, within: [{ field: fieldNamed(name), min, max: null }] },
]
const atMost = (name: string, max: number): [string, ExchangeFilter] => [
  `${name} ≤ ${max}`,
  { ...EVERYTHING, within: [{ field: fieldNamed(name), min: null, max }] },
]

/** Everywhere, now and then, a few times, never: see rows.ts. */
const FILTERS: [string, ExchangeFilter][] = [
  ['all', EVERYTHING],
  equal('caller_id', EVERYDAY_CALLER),
  equal('caller_id', RARE_CALLER),
  equal('caller_id', EVERYDAY_CALLER, RARE_CALLER),
  equal('caller_name', 'caller-199'),
  equal('caller_name', 'nobody'),
  equal('project_id', '00000000-0000-7000-9000-000000000019'),
  equal('end_user', 'user-17'),
  equal('session', 'session-500'),
  equal('conversation_id', 'c4ca4238-a0b9-2382-0dcc-509a6f75849b'),
  equal('previous_id', RARE_CALLER),
  equal('outcome', 'completed'),
  equal('outcome', 'refused'),
  equal('error_code', 'engine_lost'),
  equal('error_code', null),
  // The first hours of the day, and its last.
  equal('version', 'guide@1'),
  equal('version', 'guide@6'),
  equal('version', 'none@1'),
  equal('model', 'guide'),
  equal('model', 'rare'),
  equal('requested_model', 'none'),
  equal('upstream', 'spare'),
  equal('route', '/v1/embeddings'),
  equal('method', 'GET'),
  equal('finish_reason', 'content_filter'),
  equal('cache', 'hit'),
  equal('streamed', false),
  equal('is_stored', true),
  equal('is_usage_estimated', true),
  equal('status', 502),
  atLeast('attempt_count', 2),
  atLeast('prompt_tokens', 2_000),
  atLeast('prompt_tokens', 4_000),
  atLeast('completion_tokens', 3_000),
  atLeast('cost_usd', 0.001),
  atLeast('total_ms', 2_000),
  atLeast('total_ms', 8_000),
  atLeast('total_ms', 12_000),
  atLeast('total_ms', 60_000),
  atMost('total_ms', 950.5),
  atLeast('time_to_first_token_ms', 300),
  atLeast('inter_token_ms', 14),
  atLeast('queue_ms', 5),
  ['tag = odd', { ...EVERYTHING, tags: ['odd'] }],
  ['tag = team-8', { ...EVERYTHING, tags: ['team-8'] }],
  ['metadata.ticket = 4711', { ...EVERYTHING, metadata: { ticket: '4711' } }],
]

/** Zipf's first word is in every text, the others in ever fewer. */
const QUERIES = [
  'word1',
  'word20',
  'word900',
  'word20000',
  RARE_WORD,
  'word1 word2 word3',
  '"word1 word2"',
  'word900 or word901',
  'word1 -word2',
  'nothing',
]

export async function measureFilters(pool: Pool, { to }: { to: Date }): Promise<Reading[]> {
  const readings: Reading[] = []
  for (const [what, filter] of FILTERS) {
    const search = {
      filter: { ...filter, to },
      order: 'newest' as const,
      after: null,
      limit: PAGE + 1,
    }
    readings.push(
      await measure(what, async () => {
        const ids = await readOnly(pool, (db) => findExchangeIds(db, search))
        return (await readExchanges(pool, ids)).length
      }),
    )
  }
  return readings
}

export async function measureWords(pool: Pool, { to }: { to: Date }): Promise<Reading[]> {
  const readings: Reading[] = []
  for (const text of QUERIES) {
    const search = {
      filter: { ...EVERYTHING, to },
      text,
      language: 'simple',
      limit: PAGE,
      offset: 0,
    }
    readings.push(
      await measure(text, async () => {
        const { hits } = await readOnly(pool, (db) => searchWords(db, search))
        return hits.length
      }),
    )
  }
  return readings
}

async function measure(what: string, read: () => Promise<number>): Promise<Reading> {
  const times: number[] = []
  let rows = 0
  for (let i = 0; i <= TIMES; i++) {
    const startMs = performance.now()
    rows = await read()
    times.push(performance.now() - startMs)
  }
  const [firstMs = 0, ...others] = times
  others.sort((a, b) => a - b)
  return {
    what,
    rows,
    firstMs,
    medianMs: others[others.length >> 1] ?? 0,
    mostMs: others.at(-1) ?? 0,
  }
}

/** Cells of a table: what, rows, first, median, most. */
export function readingCells(readings: readonly Reading[]): string[][] {
  return readings.map(({ what, rows, firstMs, medianMs, mostMs }) => [
    what,
    String(rows),
    ...[firstMs, medianMs, mostMs].map((ms) => ms.toFixed(1)),
  ])
}
