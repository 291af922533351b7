// What happens when the disk has no room for exchanges: on a small file system of its own, which takes an administrator.

import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import test from 'node:test'
import type { TestContext } from 'node:test'

import { postgresSink } from '../../../gateway/exchange-log/exchange-log.ts'
import { exchangeRecord } from '../../support/exchange-record.ts'
import { openExchangeLog } from '../../support/exchange-log.ts'
import { defer } from '../../support/lasting.ts'
import { usePostgres } from '../../support/postgres.ts'
import type { Sink } from '../../../gateway/exchange-log/writer.ts'

const postgres = usePostgres()

/** @returns null where this user may not mount anything */
async function mountSmall(t: TestContext): Promise<string | null> {
  const folder = await mkdtemp(join(tmpdir(), 'headrace-small-'))
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', folder])
  defer(t, () => {
    if (mounted.status === 0) execFileSync('umount', [folder])
    rmSync(folder, { recursive: true })
  })
  return mounted.status === 0 ? folder : null
}

test('a full disk costs new exchanges and nothing else, and there is room again when they are written', async (t) => {
  const folder = await mountSmall(t)
  if (!folder) return t.skip('this user may not mount a small file system')
  const pool = await postgres.pool(t)
  const tables = postgresSink(pool)
  let isAway = true
  const sink: Sink = {
    ...tables,
    write: (batch) =>
      isAway ? Promise.reject(new Error('connection refused')) : tables.write(batch),
  }
  const { log, messages, countRows } = await openExchangeLog(t, pool, { folder, sink })
  const record = () => exchangeRecord({ prompt: 'x'.repeat(10_000) })
  assert.equal(log.hasRoom, true)
  for (let i = 0; i < 400; i++) {
    log.append(record())
    if (i % 3 === 0) await setImmediate()
  }
  assert.ok(log.dropped > 100 && log.pending > 100, `${log.dropped} dropped, ${log.pending} wait`)
  assert.ok(messages().some((message) => /no room/.test(message)))
  while (log.hasRoom) await new Promise((resolve) => setTimeout(resolve, 50))

  const kept = log.pending
  isAway = false
  await log.flush()
  assert.equal(await countRows(), kept)
  while (!log.hasRoom) await new Promise((resolve) => setTimeout(resolve, 50))
  const { dropped } = log
  for (let i = 0; i < 20; i++) log.append(record())
  await log.flush()
  assert.equal(await countRows(), kept + 20)
  assert.equal(log.dropped, dropped)
  assert.equal(log.damaged, 0)
})
