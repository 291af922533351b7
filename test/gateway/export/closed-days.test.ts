// Days that have ended go to the warehouse: whole, once, and again when rows came late.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import test from 'node:test'
import type { TestContext } from 'node:test'

import { lockExports } from '../../../gateway/db/exported-days.ts'
import { exportClosedDays } from '../../../gateway/export/closed-days.ts'
import { openDestination } from '../../../gateway/export/destination.ts'
import { exportDay } from '../../../gateway/export/export-day.ts'
import { exchangeTables, insertExchanges, openDuckdb } from '../../support/exported.ts'
import { makeFolder } from '../../support/folder.ts'
import { usePostgres } from '../../support/postgres.ts'
import { ACCESS_KEY_ID, SECRET_ACCESS_KEY, startS3 } from '../../support/s3.ts'
import type { Pool } from '../../../gateway/db/pool.ts'
import type { Destination } from '../../../gateway/export/destination.ts'
import type { Manifest } from '../../../gateway/export/manifest.ts'

const postgres = usePostgres()
const at = (time: string) => new Date(`2026-10-${time}Z`)

function exporter(pool: Pool, destination: Destination) {
  const exported: string[] = []
  const pass = async (now: string) => {
    const nowMs = at(now).getTime()
    const days = exportClosedDays({ pool, destination, withBodies: false, nowMs })
    for (;;) {
      const { done, value } = await days.next()
      if (done) return value
      exported.push(`${value.day} ${value.generation}`)
    }
  }
  return { exported, pass }
}

async function openFolder(t: TestContext) {
  const folder = await makeFolder(t)
  const destination = await openDestination(pathToFileURL(folder).href, {})
  const manifestOf = async (day: string) =>
    JSON.parse(
      await readFile(join(folder, `exchanges/day=${day}/_manifest.json`), 'utf8'),
    ) as Manifest
  return { folder, destination, manifestOf }
}

test('days that are over are exported once, a quiet one too, and today is not', async (t) => {
  const pool = await exchangeTables(t, postgres)
  await insertExchanges(pool, at('05T22:00:00'), 2_000, { stepMs: 1_000 })
  await insertExchanges(pool, at('07T08:00:00'), 30)
  await insertExchanges(pool, at('08T08:00:00'), 10)
  const { folder, destination, manifestOf } = await openFolder(t)
  const { exported, pass } = exporter(pool, destination)

  assert.equal(await pass('08T00:30:00'), true)
  assert.deepEqual(exported, ['2026-10-05 1', '2026-10-06 1'])
  await pass('08T12:00:00')
  await pass('08T13:00:00')
  assert.deepEqual(exported, ['2026-10-05 1', '2026-10-06 1', '2026-10-07 1'])

  const { rows } = await pool.query<Record<string, unknown>>(
    `SELECT min(id::text) AS first_id, max(id::text) AS last_id, sum(prompt_tokens)::int AS prompt_tokens,
            sum(completion_tokens)::int AS completion_tokens, sum(cost_usd) AS cost_usd
     FROM exchanges WHERE started_at < '2026-10-06Z'`,
  )
  const manifest = await manifestOf('2026-10-05')
  for (const [name, value] of Object.entries(rows[0]!)) {
    assert.equal(manifest[name as keyof Manifest], value, name)
  }
  assert.equal(manifest.rows, 2_000)
  const [file] = manifest.files
  const content = await readFile(join(folder, 'exchanges/day=2026-10-05', file?.name ?? ''))
  assert.equal(file?.name, 'part-0000.parquet')
  assert.equal(createHash('sha256').update(content).digest('hex'), file?.sha256)
  assert.equal(content.length, file?.bytes)
  const quiet = await manifestOf('2026-10-06')
  assert.deepEqual([quiet.rows, quiet.files, quiet.cost_usd], [0, [], '0.000000000'])
  assert.deepEqual((await readdir(folder)).sort(), ['exchanges'])

  const ask = await openDuckdb(t)
  if (!ask) return
  const read = await ask(
    `SELECT day::varchar AS day, count(*)::int AS "rows"
     FROM read_parquet('${folder}/exchanges/*/*.parquet', hive_partitioning = true)
     GROUP BY 1 ORDER BY 1`,
  )
  assert.deepEqual(read, [
    { day: '2026-10-05', rows: 2_000 },
    { day: '2026-10-07', rows: 30 },
  ])
})

test('a day that got rows late is exported again, as another generation, and the old files go', async (t) => {
  const pool = await exchangeTables(t, postgres)
  await insertExchanges(pool, at('05T10:00:00'), 100)
  const { folder, destination, manifestOf } = await openFolder(t)
  const { exported, pass } = exporter(pool, destination)
  await pass('06T02:00:00')
  await insertExchanges(pool, at('05T23:00:00'), 11)
  await pass('06T03:00:00')
  await pass('06T04:00:00')
  assert.deepEqual(exported, ['2026-10-05 1', '2026-10-05 2'])
  const { rows, generation, replaces } = await manifestOf('2026-10-05')
  assert.deepEqual([rows, generation, replaces], [111, 2, ['part-0000.parquet']])
  assert.deepEqual((await readdir(join(folder, 'exchanges/day=2026-10-05'))).sort(), [
    '_manifest.json',
    'part-0000-g2.parquet',
  ])
  // Weeks later retention may have taken what is there.
  await insertExchanges(pool, at('05T23:30:00'), 5)
  await pass('20T02:00:00')
  assert.deepEqual(exported.filter((day) => day.startsWith('2026-10-05')).length, 2)
})

test('of two gateways one exports, and what it leaves undone the other does', async (t) => {
  const pool = await exchangeTables(t, postgres)
  await insertExchanges(pool, at('05T10:00:00'), 100)
  const { destination } = await openFolder(t)
  const { exported, pass } = exporter(pool, destination)
  const lock = await lockExports(pool)
  assert.equal(await pass('06T02:00:00'), false)
  assert.deepEqual(exported, [])
  await lock?.release()
  assert.equal(await pass('06T02:00:00'), true)
  assert.deepEqual(exported, ['2026-10-05 1'])
})

test('a bucket that fails in the middle of a day has no manifest of it, and the next pass begins it again', async (t) => {
  const pool = await exchangeTables(t, postgres)
  await insertExchanges(pool, at('05T10:00:00'), 100)
  await insertExchanges(pool, at('06T10:00:00'), 100)
  const s3 = await startS3(t)
  const destination = await openDestination('s3://logs/raw', {
    AWS_ACCESS_KEY_ID: ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY: SECRET_ACCESS_KEY,
    AWS_ENDPOINT_URL: s3.endpoint,
  })
  t.after(() => destination.close())
  const { exported, pass } = exporter(pool, destination)
  s3.failing = (method, path) => method === 'PUT' && path.endsWith('06/_manifest.json')
  await assert.rejects(
    pass('07T02:00:00'),
    /did not let us write .*06\/_manifest\.json: status 503/,
  )
  assert.deepEqual(exported, ['2026-10-05 1'])
  assert.ok(s3.objects.has('/logs/raw/exchanges/day=2026-10-06/part-0000.parquet'))
  assert.ok(!s3.objects.has('/logs/raw/exchanges/day=2026-10-06/_manifest.json'))
  s3.failing = () => false
  await pass('07T02:05:00')
  assert.deepEqual(exported, ['2026-10-05 1', '2026-10-06 1'])
  const puts = s3.requests.filter((line) => line.startsWith('PUT'))
  assert.match(puts.at(-1) ?? '', /_manifest\.json$/)
  assert.equal(s3.objects.size, 4)
})

test('a day of many rows is several files, which together have each row once', async (t) => {
  const pool = await exchangeTables(t, postgres)
  await insertExchanges(pool, at('05T10:00:00'), 5_000)
  const { folder, destination } = await openFolder(t)
  const day = Math.floor(at('05T00:00:00').getTime() / 86_400_000)
  const manifest = await exportDay({
    db: pool,
    destination,
    day,
    format: 'parquet',
    withBodies: false,
    fileRows: 2_000,
  })
  assert.deepEqual(
    manifest.files.map(({ name }) => name),
    ['part-0000.parquet', 'part-0001.parquet', 'part-0002.parquet'],
  )
  assert.ok(manifest.files.every(({ rows }) => rows <= 2_000))
  const ids = manifest.files.flatMap(({ first_id, last_id }) => [first_id, last_id])
  assert.deepEqual(ids, [...ids].sort())
  const ask = await openDuckdb(t)
  if (!ask) return
  const read = await ask(
    `SELECT count(DISTINCT id)::int AS ids, count(*)::int AS "rows" FROM '${folder}/exchanges/*/*.parquet'`,
  )
  assert.deepEqual(read, [{ ids: 5_000, rows: 5_000 }])
})
