// The section on reading: a day of exchanges in an embedded PostgreSQL of its own, and how quickly a page of it is there.

import { mkdir, rm } from 'node:fs/promises'

import { EmbeddedPostgres } from '../../../gateway/db/embedded.ts'
import { openPool } from '../../../gateway/db/database.ts'
import { recordLog } from '../../support/logger.ts'
import { table } from '../table.ts'
import { loadDay, loadDaysWords, measureFilters, measureWords, readingCells } from './reading.ts'
import type { Bar } from '../bars.ts'
import type { Progress } from '../progress.ts'
import type { Reading } from './reading.ts'

const DAY_MS = 24 * 60 * 60_000
const MOST_FILTER_MS = 50
const MOST_WORDS_MS = 200
const HEAD = ['what', 'rows', 'first, ms', 'then, ms', 'at most, ms']

export interface ReadingRun {
  /** emptied first */
  dataDir: string
  rows: number
  progress: Progress
  signal: AbortSignal
}

export async function benchReading({
  dataDir,
  rows,
  progress,
  signal,
}: ReadingRun): Promise<{ tables: string; bars: Bar[] }> {
  await rm(dataDir, { recursive: true, force: true })
  await mkdir(dataDir, { recursive: true })
  const { logger } = recordLog()
  await using parts = new AsyncDisposableStack()
  const server = await EmbeddedPostgres.start({ dataDir, logger })
  parts.defer(() => server.stop())
  // Statements that take minutes end with their server.
  signal.throwIfAborted()
  const cut = () => void server.stop().catch(() => {})
  signal.addEventListener('abort', cut, { once: true })
  parts.defer(() => signal.removeEventListener('abort', cut))
  const { pool } = parts.use(await openPool(server.connection, logger))

  const day = { day: Math.floor(Date.now() / DAY_MS) - 1, rows }
  const to = new Date((day.day + 1) * DAY_MS)
  progress(`${rows} exchanges are made`)
  await loadDay(pool, day)
  const filters = await measureFilters(pool, { to })
  progress('their words are indexed, which takes minutes')
  await loadDaysWords(pool, day)
  const words = await measureWords(pool, { to })
  return {
    tables: [filters, words].map((readings) => table(HEAD, readingCells(readings))).join('\n\n'),
    bars: [
      barOf('first page of a filter, median of the slowest', filters, MOST_FILTER_MS),
      barOf('first page of words, median of the slowest', words, MOST_WORDS_MS),
    ],
  }
}

function barOf(what: string, readings: readonly Reading[], mostMs: number): Bar {
  const slowest = readings.toSorted((a, b) => b.medianMs - a.medianMs)[0]
  const measured = slowest ? `${slowest.medianMs.toFixed(1)} ms (${slowest.what})` : 'nothing'
  return { what, bar: `< ${mostMs} ms`, measured, isMet: (slowest?.medianMs ?? 0) < mostMs }
}
