import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'

import { sumSpend } from '../../../gateway/db/spend.ts'
import { openLimits } from '../../../gateway/limits/open-limits.ts'
import { exchangeRecord } from '../../support/exchange-record.ts'
import { openExchangeLog } from '../../support/exchange-log.ts'
import { defer } from '../../support/lasting.ts'
import { callerWith, need, used } from '../../support/limits.ts'
import { recordLog } from '../../support/logger.ts'
import { usePostgres } from '../../support/postgres.ts'
import type { SpendQuestion } from '../../../gateway/db/spend.ts'
import type { ExchangeRecord } from '../../../gateway/exchange/exchange-record.ts'

const postgres = usePostgres()

const KEY = '0190a3f2-7c4e-7000-8000-000000000001'
const OTHER = '0190a3f2-7c4e-7000-8000-000000000002'
const PROJECT = '0190a3f2-7c4e-7000-8000-000000000003'

async function openSpend(t: TestContext) {
  const pool = await postgres.pool(t)
  const { log } = await openExchangeLog(t, pool)
  const write = async (...records: ExchangeRecord[]) => {
    for (const record of records) log.append(record)
    await log.flush()
  }
  return { pool, write }
}

const exchange = (at: string, changes: Partial<ExchangeRecord> = {}) =>
  exchangeRecord({
    startedAt: new Date(at),
    callerId: KEY,
    projectId: PROJECT,
    promptTokens: 10,
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

test('spend is what the exchanges of the period say', async (t) => {
  const { pool, write } = await openSpend(t)
  await write(
    exchange('2026-02-28T23:59:59Z'),
    exchange('2026-03-01T00:00:00Z'),
    exchange('2026-03-01T00:30:00Z', { callerId: OTHER }),
    exchange('2026-03-31T23:59:59Z', { projectId: null }),
    exchange('2026-04-01T00:00:00Z'),
  )
  const questions = [march('key', KEY), march('project', PROJECT), march('key', 'nobody')]
  assert.deepEqual(await sumSpend(pool, questions), [
    { tokens: 30, usd: 0.000_000_05 },
    { tokens: 30, usd: 0.000_000_05 },
    { tokens: 0, usd: 0 },
  ])
})

test('budgets after a restart begin with what was spent before it', async (t) => {
  const { pool, write } = await openSpend(t)
  const { logger } = recordLog()
  const open = async () => {
    const limits = await openLimits({
      redis: null,
      sumSpend: (questions) => sumSpend(pool, questions),
      logger,
      now: Date.now,
    })
    defer(t, () => limits.close())
    return limits
  }
  const caller = { ...callerWith({ dailyTokens: 250 }), id: KEY }
  const settled = { promptTokens: 10, completionTokens: 90 }
  for (let i = 0; i < 2; i++) {
    const reservation = await (await open()).admit(caller, need())
    reservation.settle(used(10, 90), 0)
    await write(exchange(new Date().toISOString(), settled))
  }
  await assert.rejects((await open()).admit(caller, need()), /200 tokens are used or reserved/)
})
