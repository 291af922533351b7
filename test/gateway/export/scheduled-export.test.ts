// Closed days go out by themselves, and what fails is tried again.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import test from 'node:test'

import { connectionOf } from '../../../gateway/db/pool.ts'
import { ScheduledExport } from '../../../gateway/export/scheduled-export.ts'
import { exchangeTables, insertExchanges } from '../../support/exported.ts'
import { makeFolder } from '../../support/folder.ts'
import { recordLog } from '../../support/logger.ts'
import { usePostgres } from '../../support/postgres.ts'
import { ACCESS_KEY_ID, SECRET_ACCESS_KEY, startS3 } from '../../support/s3.ts'
import { until } from '../../support/until.ts'
import type { Manifest } from '../../../gateway/export/manifest.ts'

const postgres = usePostgres()
const NOON = new Date('2026-10-05T12:00:00.000Z')
const nextDay = () => NOON.getTime() + 24 * 60 * 60_000

test('a gateway exports what is over, in a thread, and says when it last did', async (t) => {
  const pool = await exchangeTables(t, postgres)
  await insertExchanges(pool, NOON, 200, { withBodies: true })
  const folder = await makeFolder(t)
  const { logger, messages } = recordLog()
  await using scheduled = await ScheduledExport.start({
    exportUrl: pathToFileURL(folder).href,
    env: {},
    withBodies: true,
    connection: connectionOf(pool),
    logger,
    now: nextDay,
  })
  assert.equal(scheduled.lastSuccessMs, null)
  await until(() => scheduled.lastSuccessMs !== null)
  assert.deepEqual([scheduled.days, scheduled.failures], [1, 0])
  assert.equal(scheduled.lastSuccessMs, nextDay())
  assert.deepEqual(messages(), ['2026-10-05 is exported'])
  const path = join(folder, 'exchanges/day=2026-10-05/_manifest.json')
  const manifest = JSON.parse(await readFile(path, 'utf8')) as Manifest
  assert.deepEqual([manifest.rows, manifest.with_bodies], [200, true])
})

test('a bucket that is away is tried again until it is back', async (t) => {
  const pool = await exchangeTables(t, postgres)
  await insertExchanges(pool, NOON, 20)
  const s3 = await startS3(t)
  s3.failing = () => true
  const { logger, lines } = recordLog()
  await using scheduled = await ScheduledExport.start({
    exportUrl: 's3://logs',
    env: {
      AWS_ACCESS_KEY_ID: ACCESS_KEY_ID,
      AWS_SECRET_ACCESS_KEY: SECRET_ACCESS_KEY,
      AWS_ENDPOINT_URL: s3.endpoint,
    },
    withBodies: false,
    connection: connectionOf(pool),
    logger,
    now: nextDay,
    retryMs: 1,
  })
  await until(() => scheduled.failures > 0)
  assert.match(String(lines[0]?.context['err' as never]), /status 503, SlowDown/)
  s3.failing = () => false
  await until(() => scheduled.lastSuccessMs !== null)
  assert.ok(s3.objects.has('/logs/exchanges/day=2026-10-05/_manifest.json'))
})

test('a gateway that stops in the middle of a day does not wait for its end', async (t) => {
  const pool = await exchangeTables(t, postgres)
  await insertExchanges(pool, NOON, 10)
  const asked = Promise.withResolvers<void>()
  // Takes a request and never answers.
  const silent = createServer(() => asked.resolve())
  silent.listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.after(() => {
    silent.closeAllConnections()
    silent.close()
  })
  const { logger, messages } = recordLog()
  const scheduled = await ScheduledExport.start({
    exportUrl: 's3://logs',
    env: {
      AWS_ACCESS_KEY_ID: ACCESS_KEY_ID,
      AWS_SECRET_ACCESS_KEY: SECRET_ACCESS_KEY,
      AWS_ENDPOINT_URL: `http://127.0.0.1:${(silent.address() as AddressInfo).port}`,
    },
    withBodies: false,
    connection: connectionOf(pool),
    logger,
    now: nextDay,
  })
  await asked.promise
  await scheduled[Symbol.asyncDispose]()
  assert.deepEqual([scheduled.lastSuccessMs, scheduled.failures, messages().length], [null, 0, 0])
})
