// `headrace usage` on a real PostgreSQL.

import assert from 'node:assert/strict'
import { randomUUIDv7 } from 'node:crypto'
import test from 'node:test'

import { startCommandLine } from '../support/command-line.ts'
import { exchangeAt } from '../support/exchange-record.ts'
import { openExchangeLog } from '../support/exchange-log.ts'
import { usePostgres } from '../support/postgres.ts'

const postgres = usePostgres()

test('the command line says who used what and what it cost', async (t) => {
  const { pool, run: headrace } = await startCommandLine(t, postgres)
  const { log } = await openExchangeLog(t, pool)
  const ann = { callerId: randomUUIDv7(), callerName: 'ann', costUsd: 0.5, totalMs: 1000 }
  log.append(exchangeAt('2026-03-01T10:00:00Z', ann))
  log.append(exchangeAt('2026-03-02T10:00:00Z', { ...ann, outcome: 'failed' }))
  log.append(exchangeAt('2026-03-02T10:00:00Z', { model: 'other', costUsd: 2 }))
  await log.flush()

  const run = (...args: string[]) => headrace('usage', '--from', '2026-03-01', ...args)
  const table = await run('--to', '2026-04-01')
  assert.equal(table.code, 0, table.stderr)
  const [headings, first, second] = table.stdout.split('\n')
  assert.match(headings!, /^CALLER +MODEL +REQUESTS +FAILED +PROMPT TOKENS +ANSWER TOKENS +P50 MS/)
  assert.match(first!, /^tests +other +1 +0 +7 +5 .* 2\.0000$/)
  assert.match(second!, /^ann +guide +2 +1 +14 +10 .* 1\.0000$/)

  const days = await run('--to', '2026-04-01', '--by', 'project', '--period', 'day', '--json')
  const rows = JSON.parse(days.stdout) as { start: string; project: null; requests: number }[]
  assert.deepEqual(
    rows.map(({ start, project, requests }) => [start.slice(0, 10), project, requests]),
    [
      ['2026-03-01', null, 1],
      ['2026-03-02', null, 2],
    ],
  )
  assert.equal(
    (await run('--to', '2026-03-01T01:00:00Z')).stdout,
    'Nothing was used in that time.\n',
  )
  const refused = await run('--by', 'colour')
  assert.deepEqual(
    [refused.code, /must be some of project, caller/.test(refused.stderr)],
    [2, true],
  )
})
