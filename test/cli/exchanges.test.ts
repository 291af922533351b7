// The exchange log on the command line, on a real PostgreSQL.

import assert from 'node:assert/strict'
import test from 'node:test'

import { openPseudonyms } from '../../cli/exchange-filter.ts'
import { startCommandLine } from '../support/command-line.ts'
import { exchangeRecord } from '../support/exchange-record.ts'
import { openExchangeLog } from '../support/exchange-log.ts'
import { usePostgres } from '../support/postgres.ts'

const postgres = usePostgres()

test('exchanges are listed, shown and followed on the command line', async (t) => {
  const { pool, run: headrace } = await startCommandLine(t, postgres)
  const { log } = await openExchangeLog(t, pool)
  const slow = exchangeRecord({
    totalMs: 9000,
    prompt: [{ role: 'user', content: 'Why so slow?' }],
  })
  log.append(slow)
  log.append(exchangeRecord({ outcome: 'failed', errorCode: 'engine_lost' }))
  const endUser = (await openPseudonyms(pool)).made('jane@example.com')
  const hers = exchangeRecord({ endUser })
  log.append(hers)
  await log.flush()
  const run = (...args: string[]) => headrace('exchanges', ...args)

  const listed = await run('list', '--where', 'total_ms_min=5000')
  assert.match(listed.text, /^WHEN +CALLER/)
  assert.equal(listed.stdout.trim().split('\n').length, 2)
  assert.ok(listed.stdout.includes(slow.id))

  const found = await run('list', '--where', 'end_user=jane@example.com', '--json')
  assert.deepEqual(
    (JSON.parse(found.stdout) as { id: string }[]).map(({ id }) => id),
    [hers.id],
  )

  const shown = JSON.parse((await run('show', slow.id)).stdout) as Record<string, unknown>
  assert.deepEqual(shown['prompt'], slow.prompt)
  const thread = JSON.parse((await run('thread', slow.id, '--json')).stdout) as unknown[]
  assert.equal(thread.length, 1)

  const wrong = await run('list', '--where', 'speed=slow')
  assert.match(wrong.text, /Unknown filter: 'speed'\. Allowed are .*total_ms_min/s)
})
