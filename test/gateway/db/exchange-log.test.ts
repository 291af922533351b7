import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'

import { EmbeddedPostgres } from '../../../gateway/db/embedded.ts'
import { ExchangeLog } from '../../../gateway/db/exchange-log.ts'
import { migrate } from '../../../gateway/db/migrate.ts'
import { createPool } from '../../../gateway/db/pool.ts'
import { exchangeRecord } from '../../support/exchange-record.ts'
import { makeFolder } from '../../support/folder.ts'
import { recordLog } from '../../support/logger.ts'
import { usePostgres } from '../../support/postgres.ts'
import type { ExchangeLogOptions } from '../../../gateway/db/exchange-log.ts'
import type { Queryable } from '../../../gateway/db/pool.ts'

const postgres = usePostgres()

async function openLog(t: TestContext, options: Partial<ExchangeLogOptions> = {}) {
  const pool = await postgres.pool(t)
  await migrate(pool)
  const { logger, lines, messages } = recordLog()
  const log = new ExchangeLog({ db: pool, logger, lingerMs: 5, retryMs: 5, ...options })
  const countRows = async () => {
    const { rows } = await pool.query<{ count: number }>('SELECT count(*)::int FROM exchanges')
    return rows[0]!.count
  }
  return { pool, log, lines, messages, countRows }
}

/** A database that can't be reached. */
const away: Queryable = {
  query: () => Promise.reject(Object.assign(new Error('gone'), { code: 'ECONNREFUSED' })),
}

test('a row holds every field of its record', async (t) => {
  const { pool, log } = await openLog(t)
  const record = exchangeRecord({
    callerId: '0190a3f2-7c4e-7000-8000-000000000001',
    answer: ['one', 'two'],
    outcome: 'failed',
    errorCode: 'engine_lost',
    errorMessage: 'The engine ended.',
  })
  log.append(record)
  await log.flush()
  const { rows } = await pool.query<Record<string, unknown>>('SELECT * FROM exchanges')
  assert.equal(rows.length, 1)
  for (const [name, value] of Object.entries(record)) {
    const column = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
    assert.deepEqual(rows[0]![column], value, column)
  }
})

test('rows are written by themselves a moment later, many in one statement', async (t) => {
  const pool = await postgres.pool(t)
  await migrate(pool)
  let statements = 0
  const db: Queryable = {
    query: (text, values) => {
      statements++
      return pool.query(text, values)
    },
  }
  const { logger } = recordLog()
  const log = new ExchangeLog({ db, logger, lingerMs: 5 })
  for (let i = 0; i < 100; i++) log.append(exchangeRecord())
  while (log.pending > 0) await new Promise((resolve) => setTimeout(resolve, 5))
  const { rows } = await pool.query('SELECT id FROM exchanges')
  assert.equal(rows.length, 100)
  assert.equal(statements, 1)
})

test('characters that PostgreSQL can not hold are replaced, and nothing else is', async (t) => {
  const { pool, log } = await openLog(t)
  const parameters = { 'ke\0y': 'half \ud83d', path: 'C:\\u0000', emoji: '😀', quote: '\\"' }
  log.append(exchangeRecord({ prompt: 'a\0b', answer: ['\udc00x'], parameters }))
  await log.flush()
  const { rows } = await pool.query<Record<string, unknown>>(
    'SELECT prompt, answer, parameters FROM exchanges',
  )
  assert.deepEqual(rows[0], {
    prompt: 'a\ufffdb',
    answer: ['\ufffdx'],
    parameters: { 'ke\ufffdy': 'half \ufffd', path: 'C:\\u0000', emoji: '😀', quote: '\\"' },
  })
})

test('a row that PostgreSQL refuses is given up, and the others are written', async (t) => {
  const { log, messages, countRows } = await openLog(t)
  for (let i = 0; i < 40; i++) {
    log.append(exchangeRecord(i % 13 === 5 ? { promptTokens: 3_000_000_000 } : {}))
  }
  await log.flush()
  assert.equal(await countRows(), 37)
  assert.equal(log.dropped, 3)
  assert.equal(log.pending, 0)
  assert.equal(messages().filter((message) => /refused the row/.test(message)).length, 3)
})

test('a row that is written twice is there once', async (t) => {
  const { log, countRows } = await openLog(t)
  const record = exchangeRecord()
  log.append(record)
  log.append(record)
  await log.flush()
  assert.equal(await countRows(), 1)
  assert.equal(log.dropped, 0)
})

test('a prompt that is nested too deep to be written costs its bodies, not its row', async (t) => {
  const { pool, log } = await openLog(t)
  let nested: unknown = 'x'
  for (let depth = 0; depth < 200_000; depth++) nested = [nested]
  log.append(exchangeRecord({ prompt: nested }))
  await log.flush()
  const { rows } = await pool.query('SELECT prompt, completion_tokens FROM exchanges')
  assert.deepEqual(rows, [{ prompt: null, completion_tokens: 5 }])
})

test('memory is bounded: when there is no room the newest rows are dropped, counted and told once', async (t) => {
  const { log, lines } = await openLog(t, { db: away, maxRows: 10, retryMs: 60_000 })
  t.after(() => log.close(0))
  for (let i = 0; i < 25; i++) log.append(exchangeRecord())
  assert.equal(log.pending, 10)
  assert.equal(log.dropped, 15)
  assert.equal(lines.filter(({ message }) => /is full/.test(message)).length, 1)

  const byBytes = await openLog(t, { db: away, maxBytes: 6_500, retryMs: 60_000 })
  t.after(() => byBytes.log.close(0))
  for (let i = 0; i < 25; i++) byBytes.log.append(exchangeRecord({ prompt: 'x'.repeat(900) }))
  assert.equal(byBytes.log.pending, 3)
})

test('closing gives up at its deadline and says what is lost', async (t) => {
  const { log, lines } = await openLog(t, { db: away })
  for (let i = 0; i < 3; i++) log.append(exchangeRecord())
  const before = performance.now()
  await log.close(50)
  assert.ok(performance.now() - before < 2_000)
  assert.equal(log.dropped, 3)
  assert.deepEqual(lines.at(-1)?.context, { lost: 3 })
})

test('rows wait while PostgreSQL is away and are written when it is back', async (t) => {
  const dataDir = await makeFolder(t)
  const { logger, messages } = recordLog()
  const options = { dataDir, logger, isDurable: false }
  const first = await EmbeddedPostgres.start(options)
  const pools = [createPool(first.connection, logger)]
  await migrate(pools[0]!)
  const db: Queryable = { query: (text, values) => pools.at(-1)!.query(text, values) }
  const log = new ExchangeLog({ db, logger, lingerMs: 1, retryMs: 5 })
  log.append(exchangeRecord())
  await log.flush()

  await first.stop()
  for (let i = 0; i < 20; i++) log.append(exchangeRecord())
  while (!messages().some((message) => /waits for PostgreSQL/.test(message))) {
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  assert.equal(log.pending, 20)

  const second = await EmbeddedPostgres.start(options)
  pools.push(createPool(second.connection, logger))
  await log.flush()
  const { rows } = await pools[1]!.query('SELECT id FROM exchanges')
  assert.equal(rows.length, 21)
  assert.equal(log.dropped, 0)
  await log.close(1_000)
  await Promise.all(pools.map((pool) => pool.end()))
  await second.stop()
})
