import assert from 'node:assert/strict'
import { randomUUIDv7 } from 'node:crypto'
import test from 'node:test'
import type { TestContext } from 'node:test'

import { migrate } from '../../../gateway/db/migrate.ts'
import { SpendLog } from '../../../gateway/db/spend-log.ts'
import { listSpend, rollUpSpend, sumSpend } from '../../../gateway/db/spend.ts'
import { openLimits } from '../../../gateway/limits/open-limits.ts'
import { defer } from '../../support/lasting.ts'
import { callerWith, need, used } from '../../support/limits.ts'
import { recordLog } from '../../support/logger.ts'
import { usePostgres } from '../../support/postgres.ts'
import type { SpendQuestion, SpendRow } from '../../../gateway/db/spend.ts'

const postgres = usePostgres()

async function openSpend(t: TestContext) {
  const pool = await postgres.pool(t)
  await migrate(pool)
  const { logger, messages } = recordLog()
  const log = new SpendLog({ db: pool, logger, lingerMs: 5, retryMs: 5 })
  defer(t, () => log.close(1_000))
  const write = async (...rows: SpendRow[]) => {
    for (const row of rows) log.append(row)
    await log.flush()
  }
  return { pool, log, logger, messages, write }
}

const row = (at: string, changes: Partial<SpendRow> = {}): SpendRow => ({
  exchangeId: randomUUIDv7(),
  at: new Date(at),
  keyId: 'key-1',
  projectId: 'project-1',
  model: 'guide',
  version: 'guide@2',
  promptTokens: 10,
  cachedTokens: 4,
  completionTokens: 5,
  costUsd: 0.000_000_025,
  ...changes,
})

const march = (owner: SpendQuestion['owner'], id: string): SpendQuestion => ({
  owner,
  id,
  from: new Date('2026-03-01T00:00:00Z'),
  to: new Date('2026-04-01T00:00:00Z'),
})

const PERIOD = { from: new Date('2026-01-01T00:00:00Z'), to: new Date('2027-01-01T00:00:00Z') }

test('totals are the same before and after hours were rolled up, and however often', async (t) => {
  const { pool, write } = await openSpend(t)
  await write(
    row('2026-02-28T23:59:59Z'),
    row('2026-03-01T00:00:00Z'),
    row('2026-03-01T00:30:00Z', { keyId: 'key-2' }),
    row('2026-03-31T23:59:59Z', { projectId: null }),
    row('2026-04-01T00:00:00Z'),
  )
  const questions = [march('key', 'key-1'), march('project', 'project-1'), march('key', 'nobody')]
  const expected = [
    { tokens: 30, usd: 0.000_000_05 },
    { tokens: 30, usd: 0.000_000_05 },
    { tokens: 0, usd: 0 },
  ]
  assert.deepEqual(await sumSpend(pool, questions), expected)
  await Promise.all([rollUpSpend(pool), rollUpSpend(pool)].map((done) => done.catch(() => {})))
  await rollUpSpend(pool)
  await rollUpSpend(pool)
  assert.deepEqual(await sumSpend(pool, questions), expected)
})

test('hours are added up to days and months, newest rows included', async (t) => {
  const { pool, write } = await openSpend(t)
  await write(row('2026-03-01T01:10:00Z'), row('2026-03-01T05:00:00Z'), row('2026-03-02T00:00:00Z'))
  await rollUpSpend(pool)
  await write(row('2026-03-02T23:00:00Z', { at: new Date() }))
  const days = await listSpend(pool, { unit: 'day', ...PERIOD })
  assert.deepEqual(
    days.map(({ start, requests }) => [start.toISOString().slice(0, 10), requests]).slice(0, 2),
    [
      ['2026-03-01', 2],
      ['2026-03-02', 1],
    ],
  )
  const [month] = await listSpend(pool, { unit: 'month', ...PERIOD })
  assert.deepEqual(month, {
    start: new Date('2026-03-01T00:00:00Z'),
    keyId: 'key-1',
    projectId: 'project-1',
    model: 'guide',
    version: 'guide@2',
    requests: 3,
    promptTokens: 30,
    cachedTokens: 12,
    completionTokens: 15,
    tokens: 45,
    usd: 0.000_000_075,
  })
})

test('rows that come late are in the next roll-up of their hour', async (t) => {
  const { pool, write } = await openSpend(t)
  await write(row('2026-03-05T10:00:00Z'))
  await rollUpSpend(pool)
  await write(row('2026-03-05T10:59:00Z'))
  await rollUpSpend(pool)
  assert.deepEqual((await sumSpend(pool, [march('key', 'key-1')]))[0]?.tokens, 30)
  const { rows } = await pool.query('SELECT requests::int FROM spend_hours')
  assert.deepEqual(rows, [{ requests: 2 }])
})

test('a row that is written twice is charged once', async (t) => {
  const { pool, write } = await openSpend(t)
  const twice = row('2026-03-05T10:00:00Z')
  await write(twice, twice)
  await write(twice)
  assert.equal((await sumSpend(pool, [march('key', 'key-1')]))[0]?.tokens, 15)
})

test('a caller without limits is charged too, whoever it is', async (t) => {
  const { pool, write } = await openSpend(t)
  await write(row('2026-03-05T10:00:00Z', { keyId: null, projectId: null }))
  await rollUpSpend(pool)
  const [hour] = await listSpend(pool, { unit: 'hour', ...PERIOD })
  assert.deepEqual([hour?.keyId, hour?.requests], [null, 1])
})

test('budgets after a restart begin with what was spent before it, rolled up or not', async (t) => {
  const { pool, log, logger } = await openSpend(t)
  const now = () => Date.now()
  const open = async () => {
    const limits = await openLimits({ redis: null, spendLog: log, logger, now })
    defer(t, () => limits.close())
    return limits
  }
  const caller = callerWith({ dailyTokens: 250 })
  const first = await (await open()).admit(caller, need())
  first.settle(used(10, 90), 0)
  await log.flush()
  const second = await (await open()).admit(caller, need())
  second.settle(used(10, 90), 0)
  await log.flush()
  await rollUpSpend(pool)
  await assert.rejects((await open()).admit(caller, need()), /200 tokens are used or reserved/)
})

test('a roll-up that fails is logged, and nothing else', async (t) => {
  const { pool, log, messages } = await openSpend(t)
  await pool.query('DROP TABLE spend_hours')
  await log.rollUp()
  assert.ok(messages().some((message) => /could not be rolled up/.test(message)))
})
