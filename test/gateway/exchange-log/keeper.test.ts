// The days of the exchange log: made ahead, dropped when their time is over, texts of some projects sooner.

import assert from 'node:assert/strict'
import { randomUUIDv7 } from 'node:crypto'
import test from 'node:test'
import type { TestContext } from 'node:test'

import { dayOf, ensurePartitions, listPartitions } from '../../../gateway/db/partitions.ts'
import { Keeper } from '../../../gateway/exchange-log/keeper.ts'
import { exchangeAt } from '../../support/exchange-record.ts'
import { openExchangeLog } from '../../support/exchange-log.ts'
import { defer } from '../../support/lasting.ts'
import { recordLog } from '../../support/logger.ts'
import { usePostgres } from '../../support/postgres.ts'
import type { ExchangeRecord } from '../../../gateway/exchange/exchange-record.ts'
import type { KeeperOptions } from '../../../gateway/exchange-log/keeper.ts'
import type { Pool } from '../../../gateway/db/pool.ts'

const postgres = usePostgres()

async function openKept(t: TestContext) {
  const pool = await postgres.pool(t)
  const { log } = await openExchangeLog(t, pool)
  const write = async (...records: ExchangeRecord[]) => {
    for (const record of records) log.append(record)
    await log.flush()
  }
  const keeperAt = (now: string, options: Partial<KeeperOptions> = {}) => {
    const { logger, messages } = recordLog()
    const keeper = new Keeper({
      pool,
      retentionDays: null,
      bodiesRetentionDays: null,
      logger,
      now: () => Date.parse(now),
      pauseMs: 0,
      ...options,
    })
    return { keeper, messages, keep: () => keeper.keep() }
  }
  return { pool, log, write, keeperAt }
}

async function makeProject(pool: Pool, days: number | null): Promise<string> {
  const id = randomUUIDv7()
  await pool.query(
    `INSERT INTO projects (id, name, limits, tags, bodies_retention_days, created_at, created_by, updated_at)
     VALUES ($1, $2, '{}', '{}', $3, now(), 'tests', now())`,
    [id, `keeps ${days}`, days],
  )
  return id
}

const namesOf = async (pool: Pool, table: string) =>
  (await listPartitions(pool, table)).map(({ name }) => name)

const timesOf = async (pool: Pool, table: 'exchanges' | 'exchange_bodies') => {
  const { rows } = await pool.query<{ at: string }>(
    `SELECT to_char(exchanges.started_at AT TIME ZONE 'UTC', 'MM-DD"T"HH24') AS at
     FROM exchanges JOIN ${table} texts ON texts.id = exchanges.id ORDER BY exchanges.started_at`,
  )
  return rows.map(({ at }) => at)
}

test('the days to come are made ahead, by several gateways at once', async (t) => {
  const { pool, keeperAt } = await openKept(t)
  await Promise.all([1, 2, 3, 4].map(() => keeperAt('2026-12-30T23:00:00Z').keep()))
  for (const table of ['exchanges', 'exchange_bodies']) {
    const days = ['20261230', '20261231', '20270101', '20270102', '20270103']
    assert.deepEqual(
      await namesOf(pool, table),
      days.map((day) => `${table}_${day}`),
    )
  }
})

test('without a retention nothing is ever dropped', async (t) => {
  const { pool, write, keeperAt } = await openKept(t)
  await write(exchangeAt('2020-01-01T00:00:00Z'))
  await keeperAt('2026-12-30T23:00:00Z').keep()
  assert.deepEqual(await timesOf(pool, 'exchange_bodies'), ['01-01T00'])
})

test('texts and figures go by the day, each when all of it is older than it is kept', async (t) => {
  const { pool, write, keeperAt } = await openKept(t)
  for (const day of ['01', '05', '06', '07', '10'])
    await write(exchangeAt(`2026-03-${day}T12:00:00Z`))
  const { keep, messages } = keeperAt('2026-03-10T23:59:59Z', {
    retentionDays: 5,
    bodiesRetentionDays: 3,
  })
  await keep()
  assert.deepEqual(await timesOf(pool, 'exchanges'), [
    '03-05T12',
    '03-06T12',
    '03-07T12',
    '03-10T12',
  ])
  assert.deepEqual(await timesOf(pool, 'exchange_bodies'), ['03-07T12', '03-10T12'])
  assert.ok(!(await namesOf(pool, 'exchanges')).includes('exchanges_20260301'))
  assert.ok(messages().includes('days of the exchange log are dropped'))
  const { rows } = await pool.query('SELECT sum(requests)::int AS requests FROM exchange_hours')
  assert.deepEqual(rows, [{ requests: 5 }])
})

test('a row that comes after its day was dropped is written all the same, and goes in the next round', async (t) => {
  const { pool, log, write, keeperAt } = await openKept(t)
  const late = '2026-03-01T12:00:00Z'
  await write(exchangeAt(late))
  const { keep } = keeperAt('2026-03-10T00:00:00Z', { retentionDays: 3 })
  await keep()
  assert.deepEqual(await timesOf(pool, 'exchanges'), [])
  // The writer remembers the day, and each batch of it is one row.
  await write(exchangeAt(late))
  await write(exchangeAt(late))
  assert.deepEqual(await timesOf(pool, 'exchanges'), ['03-01T12', '03-01T12'])
  assert.equal(log.dropped, 0)
  await keep()
  assert.deepEqual(await timesOf(pool, 'exchanges'), [])
})

test('days that somebody did not finish making or dropping are finished', async (t) => {
  const { pool, write, keeperAt } = await openKept(t)
  const days = [1, 2, 3].map((day) => dayOf(Date.parse(`2026-03-0${day}T00:00:00Z`)))
  await ensurePartitions(pool, days)
  await write(exchangeAt('2026-03-02T12:00:00Z'))
  for (const day of ['20260301', '20260302']) {
    await pool.query(`ALTER TABLE exchanges DETACH PARTITION exchanges_${day}`)
  }
  // A day that is wanted again is taken back, with what was in it.
  await write(exchangeAt('2026-03-02T13:00:00Z'))
  assert.deepEqual(await timesOf(pool, 'exchanges'), ['03-02T12', '03-02T13'])
  await keeperAt('2026-03-05T00:00:00Z', { retentionDays: 3 }).keep()
  const names = await namesOf(pool, 'exchanges')
  assert.deepEqual(names.slice(0, 2), ['exchanges_20260302', 'exchanges_20260303'])
})

test('rows are written while days are dropped, also while somebody reads an old day', async (t) => {
  const { pool, write, keeperAt } = await openKept(t)
  await write(exchangeAt('2026-03-01T12:00:00Z'))
  const reader = await pool.connect()
  defer(t, () => reader.release())
  await reader.query('BEGIN')
  await reader.query('SELECT count(*) FROM exchanges')
  const { keep } = keeperAt('2026-03-10T00:00:00Z', { retentionDays: 3, patienceMs: 500 })
  const stateOfFirst = async () => (await listPartitions(pool, 'exchanges'))[0]?.state
  const keeping = keep()
  while ((await stateOfFirst()) !== 'leaving')
    await new Promise((resolve) => setTimeout(resolve, 5))
  await write(exchangeAt('2026-03-10T00:00:00Z'), exchangeAt('2026-03-10T00:00:01Z'))
  assert.equal(await stateOfFirst(), 'leaving')
  assert.deepEqual(await timesOf(pool, 'exchanges'), ['03-10T00', '03-10T00'])
  await keeping
  assert.equal(await stateOfFirst(), 'leaving')

  await reader.query('COMMIT')
  await keep()
  assert.equal((await namesOf(pool, 'exchanges'))[0], 'exchanges_20260310')
})

test('texts of a project that wants them gone sooner go by the row, those of others stay', async (t) => {
  const { pool, write, keeperAt } = await openKept(t)
  const [shortly, longer] = [await makeProject(pool, 2), await makeProject(pool, 4)]
  const usual = await makeProject(pool, null)
  for (const projectId of [shortly, longer, usual, null]) {
    await write(
      ...Array.from({ length: 600 }, () => exchangeAt('2026-03-05T10:00:00Z', { projectId })),
      exchangeAt('2026-03-08T11:00:00Z', { projectId }),
      exchangeAt('2026-03-08T13:00:00Z', { projectId }),
    )
  }
  const { keep } = keeperAt('2026-03-10T12:00:00Z')
  const countTexts = async () => {
    const { rows } = await pool.query<{ project: string | null; count: number }>(
      `SELECT project_id AS project, count(*)::int FROM exchanges JOIN exchange_bodies USING (id) GROUP BY 1`,
    )
    return [shortly, longer, usual, null].map(
      (id) => rows.find(({ project }) => project === id)?.count,
    )
  }
  await keep()
  assert.deepEqual(await countTexts(), [1, 2, 602, 602])
  const { rows } = await pool.query('SELECT count(*)::int FROM exchanges')
  assert.deepEqual(rows, [{ count: 4 * 602 }])

  // Late, from before what was gone through already: with the next day's first round.
  await write(exchangeAt('2026-03-01T10:00:00Z', { projectId: shortly }))
  await keep()
  assert.deepEqual(await countTexts(), [2, 2, 602, 602])
})

test('a late text of such a project goes with the next day', async (t) => {
  const { pool, write, keeperAt } = await openKept(t)
  const projectId = await makeProject(pool, 2)
  let now = Date.parse('2026-03-10T12:00:00Z')
  const { keep } = keeperAt('', { now: () => now })
  await keep()
  await write(exchangeAt('2026-03-01T10:00:00Z', { projectId }))
  now += 24 * 60 * 60_000
  await keep()
  assert.deepEqual(await timesOf(pool, 'exchange_bodies'), [])
})

test('system prompts go when nobody refers to them any more', async (t) => {
  const { pool, write, keeperAt } = await openKept(t)
  const say = (text: string) => [{ role: 'system', content: text.repeat(50) }]
  await write(
    exchangeAt('2026-03-01T10:00:00Z', { prompt: say('old. ') }),
    exchangeAt('2026-03-09T10:00:00Z', { prompt: say('used. ') }),
    exchangeAt('2026-03-01T10:00:00Z', { prompt: say('new. ') }),
  )
  await pool.query(
    `UPDATE system_prompts SET used_on = CASE WHEN text LIKE 'new%' THEN '2026-03-10' ELSE '2026-03-01' END::date`,
  )
  await keeperAt('2026-03-10T12:00:00Z', { bodiesRetentionDays: 3 }).keep()
  const { rows } = await pool.query(
    'SELECT left(text, 4) AS text FROM system_prompts ORDER BY text',
  )
  assert.deepEqual(rows, [{ text: 'new.' }, { text: 'used' }])
})

test('a round that fails is told, and the next one is not kept from doing its work', async (t) => {
  const { pool, keeperAt } = await openKept(t)
  await pool.query('ALTER TABLE exchanges RENAME TO elsewhere')
  const { keeper, messages } = keeperAt('2026-03-10T12:00:00Z', { intervalMs: 5 })
  keeper.start()
  defer(t, () => keeper.close())
  while (messages().length < 2) await new Promise((resolve) => setTimeout(resolve, 5))
  await pool.query('ALTER TABLE elsewhere RENAME TO exchanges')
  while ((await namesOf(pool, 'exchange_bodies')).length === 0) {
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  await keeper.close()
})

test('what was logged before there were days goes too, and its table with the last row', async (t) => {
  const { pool, keeperAt } = await openKept(t)
  // As 0002 made it, of an installation that is older than days.
  await pool.query(`CREATE TABLE exchanges_before_days (
    id uuid PRIMARY KEY, prompt jsonb, answer text[], parameters jsonb
  )`)
  await pool.query(
    `INSERT INTO exchanges_before_days
     SELECT exchange_id_at(at::timestamptz), '{}', '{hello}', '{}'
     FROM unnest('{2026-03-01T12:00Z, 2026-03-05T12:00Z, 2026-03-09T12:00Z}'::text[]) AS at`,
  )
  const left = async () => {
    const { rows } = await pool.query<{ answer: string[] | null }>(
      'SELECT answer FROM exchanges_before_days ORDER BY id',
    )
    return rows.map(({ answer }) => answer?.[0] ?? null)
  }
  await keeperAt('2026-03-10T00:00:00Z').keep()
  assert.deepEqual(await left(), ['hello', 'hello', 'hello'], 'for ever')
  await keeperAt('2026-03-10T00:00:00Z', { retentionDays: 8, bodiesRetentionDays: 2 }).keep()
  assert.deepEqual(await left(), [null, 'hello'])
  await makeProject(pool, 1)
  await keeperAt('2026-03-11T00:00:00Z').keep()
  assert.deepEqual(await left(), [null, null], 'by the shortest time of a project')
  await keeperAt('2026-03-20T00:00:00Z', { retentionDays: 8 }).keep()
  const { rows } = await pool.query(`SELECT to_regclass('exchanges_before_days') AS table`)
  assert.deepEqual(rows, [{ table: null }])
})
