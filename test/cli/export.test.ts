// `headrace export`: folders that are gone on with, and one file on the standard output.

import assert from 'node:assert/strict'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import test from 'node:test'
import type { TestContext } from 'node:test'

import { listChanges } from '../../gateway/db/audit.ts'
import { startCommandLine } from '../support/command-line.ts'
import { insertExchanges } from '../support/exported.ts'
import { makeFolder } from '../support/folder.ts'
import { startHeadrace } from '../support/process.ts'
import { databaseUrlOf, usePostgres } from '../support/postgres.ts'

const postgres = usePostgres()

async function startDatabase(t: TestContext) {
  const { pool, run } = await startCommandLine(t, postgres)
  return { pool, run: (...args: string[]) => run('export', ...args) }
}

test('days go to a folder, and a second run goes on with those that are missing', async (t) => {
  const { pool, run } = await startDatabase(t)
  await insertExchanges(pool, new Date('2026-10-05T23:59:50.000Z'), 200, { stepMs: 100 })
  await insertExchanges(pool, new Date('2026-10-07T10:00:00.000Z'), 50)
  const output = join(await makeFolder(t), 'warehouse')

  const first = await run('--output', output)
  assert.equal(first.stdout, `250 exchanges of 3 days are in ${output}.\n`)
  assert.match(first.stderr, /2026-10-05: 100 exchanges, files: 1\n/)
  await rm(join(output, 'exchanges/day=2026-10-07/_manifest.json'))
  const second = await run('--output', output)
  assert.match(second.stdout, /^50 exchanges of 1 days .*; days that were there already: 2\.\n$/)

  // Another question is another answer.
  const some = [
    '--where',
    'caller_name=caller 1',
    '--from',
    '2026-10-07',
    '--format',
    'csv',
    '--bodies',
  ]
  assert.match((await run('--output', output, ...some)).stdout, /^\d exchanges of 1 days are in/)
  const files = await readdir(join(output, 'exchanges/day=2026-10-07'))
  assert.deepEqual(files.sort(), ['_manifest.json', 'part-0000-g2.csv'])
  const { rows } = await listChanges(pool, {}, { after: null, limit: 10 })
  assert.deepEqual(
    rows.map(({ action, actor }) => [action, actor.via]),
    [['exchange.export', 'command_line']],
  )
})

test('the standard output is the file alone, and says beside it how far it goes', async (t) => {
  const { pool, run } = await startDatabase(t)
  await insertExchanges(pool, new Date('2026-10-05T10:00:00.000Z'), 30)
  const whole = await run('--format', 'jsonl', '--output', '-')
  const lines = whole.stdout.trimEnd().split('\n')
  assert.equal(lines.length, 30)
  const ids = lines.map((line) => (JSON.parse(line) as { id: string }).id)
  const part = await run('--format', 'jsonl', '--output', '-', '--limit', '20')
  assert.equal(part.stderr, `20 exchanges; the last one is ${ids[19]}. There are more.\n`)
  const rest = await run('--format', 'jsonl', '--output', '-', '--after', ids[19] ?? '')
  assert.equal(part.stdout + rest.stdout, whole.stdout)
  const none = await run('--output', '-', '--from', '2027-01-01', '--format', 'csv')
  assert.match(none.stdout, /^id,started_at,.*\r\n$/)
  assert.equal(none.stderr, 'There is nothing to export.\n')
})

test('a gateway that is told where to exports what is over, and its metrics say so', async (t) => {
  const pool = await postgres.pool(t)
  await insertExchanges(pool, new Date('2026-10-05T10:00:00.000Z'), 30)

  const folder = await makeFolder(t)
  const gateway = startHeadrace(t, ['gateway'], {
    env: {
      HEADRACE_DATA_DIR: await makeFolder(t),
      DATABASE_URL: databaseUrlOf(pool),
      HEADRACE_PORT: '0',
      HEADRACE_EXPORT_URL: pathToFileURL(folder).href,
      // Nobody is there, and nobody is asked.
      RUNTIME_URLS: 'http://127.0.0.1:9',
    },
  })
  const [, url = ''] = await gateway.says(/the gateway listens at (http:\/\/\S+?)[\s"]/)
  await gateway.says(/2026-10-05 is exported/)
  const metrics = await (await fetch(`${url}/metrics`)).text()
  assert.match(metrics, /^headrace_export_days_total [1-9]/m)
  assert.match(metrics, /^headrace_export_failures_total 0$/m)
  gateway.kill('SIGTERM')
  assert.equal(await gateway.ended, 0)
  assert.ok((await readdir(join(folder, 'exchanges'))).includes('day=2026-10-05'))
})

test('what makes no sense is told before anything is done', async (t) => {
  const { run } = await startDatabase(t)
  for (const args of [
    ['--format', 'xlsx', '--output', '-'],
    ['--from', 'monday', '--output', '-'],
    [],
  ]) {
    const { code, stderr } = await run(...args)
    assert.equal(code, 2, stderr)
  }
})
