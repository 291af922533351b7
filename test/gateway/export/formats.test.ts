// Exports read back by who would read them: the same rows, counts and sums as in the tables.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import test from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { TestContext } from 'node:test'

import { EVERYTHING } from '../../../gateway/db/exchange-fields.ts'
import { readPages } from '../../../gateway/db/export-pages.ts'
import { readFilter } from '../../../gateway/dialects/admin/exchange-query.ts'
import { exportExchanges } from '../../../gateway/export/export-stream.ts'
import { exchangeTables, insertExchanges, openDuckdb } from '../../support/exported.ts'
import { makeFolder } from '../../support/folder.ts'
import { usePostgres } from '../../support/postgres.ts'
import type { Query } from '../../../gateway/dialects/admin/exchange-query.ts'
import type { ExportRequest } from '../../../gateway/export/export-stream.ts'
import type { Pool } from '../../../gateway/db/pool.ts'

const postgres = usePostgres()
setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void
const NOON = new Date('2026-10-05T12:00:00.000Z')

const ALL: ExportRequest = {
  format: 'parquet',
  filter: EVERYTHING,
  after: null,
  limit: null,
  withBodies: false,
}

async function exportTo(t: TestContext, pool: Pool, request: Partial<ExportRequest>) {
  const file = join(await makeFolder(t), `out.${request.format ?? 'parquet'}`)
  const stream = Readable.from(exportExchanges(pool, { ...ALL, ...request }))
  await pipeline(stream, createWriteStream(file))
  return file
}

test('Parquet read by DuckDB has the counts and sums of the tables', async (t) => {
  const ask = await openDuckdb(t)
  if (!ask) return
  const pool = await exchangeTables(t, postgres)
  await insertExchanges(pool, NOON, 25_000, { stepMs: 3_000 })
  const file = await exportTo(t, pool, {})
  const sums = `
    count(*) AS "rows", count(DISTINCT id) AS "ids", sum(prompt_tokens) AS "prompt",
    sum(completion_tokens) AS "completion", sum(cost_usd) AS "usd", count(cost_usd) AS "priced",
    count(tags) AS "tagged", min(started_at) AS "oldest", max(started_at) AS "newest"`
  const [of] = await ask(`SELECT ${sums}, sum(total_ms::double) AS "ms" FROM '${file}'`)
  const { rows } = await pool.query<Record<string, unknown>>(
    `SELECT ${sums}, sum(total_ms::float8) AS ms FROM exchanges`,
  )
  for (const name of ['rows', 'ids', 'prompt', 'completion', 'priced', 'tagged']) {
    assert.equal(Number(of?.[name]), Number(rows[0]?.[name]), name)
  }
  assert.equal(of?.['usd'], rows[0]?.['usd'])
  assert.ok(Math.abs(Number(of?.['ms']) - Number(rows[0]?.['ms'])) < 1e-3)
  for (const name of ['oldest', 'newest']) {
    const read = new Date(`${String(of?.[name]).replace(' ', 'T')}:00`)
    assert.equal(read.getTime(), (rows[0]![name] as Date).getTime(), name)
  }
})

test('CSV and JSON lines read by DuckDB have the counts and sums of the tables', async (t) => {
  const ask = await openDuckdb(t)
  if (!ask) return
  const pool = await exchangeTables(t, postgres)
  await insertExchanges(pool, NOON, 5_000)
  const csv = await exportTo(t, pool, { format: 'csv' })
  const jsonl = await exportTo(t, pool, { format: 'jsonl' })
  const sums = (source: string) => `
    SELECT count(*) AS "rows", count(DISTINCT id) AS ids, sum(prompt_tokens) AS prompt,
      sum(cost_usd::decimal(18, 9)) AS usd, count(tags) AS tagged, count(completion_tokens) AS answered
    FROM ${source}`
  const { rows } = await pool.query<Record<string, unknown>>(sums('exchanges'))
  const expected = Object.values(rows[0] ?? {}).map(Number)
  for (const source of [`read_csv('${csv}')`, `read_json('${jsonl}')`]) {
    const [read] = await ask(sums(source))
    assert.deepEqual(Object.values(read ?? {}).map(Number), expected, source)
  }
})

test('Parquet has types that need no telling', async (t) => {
  const ask = await openDuckdb(t)
  if (!ask) return
  const pool = await exchangeTables(t, postgres)
  await insertExchanges(pool, NOON, 3, { withBodies: true })
  const file = await exportTo(t, pool, { withBodies: true })
  const columns = await ask(`DESCRIBE SELECT * FROM '${file}'`)
  const types = Object.fromEntries(columns.map((row) => [row['column_name'], row['column_type']]))
  assert.equal(types['started_at'], 'TIMESTAMP WITH TIME ZONE')
  assert.equal(types['cost_usd'], 'DECIMAL(18,9)')
  assert.equal(types['tags'], 'VARCHAR[]')
  assert.equal(types['answer'], 'VARCHAR[]')
  assert.equal(types['prompt'], 'VARCHAR')
  assert.equal(types['total_ms'], 'FLOAT')
  assert.equal(types['streamed'], 'BOOLEAN')
  const [row] = await ask(`SELECT tags, answer, prompt FROM '${file}' ORDER BY id DESC LIMIT 1`)
  assert.deepEqual(row?.['tags'], ['team', 'a "b", c 2'])
  assert.deepEqual(row?.['answer'], ['=1+1 is 2'])
  assert.deepEqual(JSON.parse(String(row?.['prompt'])), [
    { role: 'user', content: 'Question of user-2' },
  ])
})

test('an export of nothing is a file all the same', async (t) => {
  const pool = await exchangeTables(t, postgres)
  const csv = await readFile(await exportTo(t, pool, { format: 'csv' }), 'utf8')
  assert.match(csv, /^id,started_at,[a-z_,]+\r\n$/)
  assert.equal(await readFile(await exportTo(t, pool, { format: 'jsonl' }), 'utf8'), '')
  const ask = await openDuckdb(t)
  if (!ask) return
  const file = await exportTo(t, pool, {})
  assert.deepEqual(await ask(`SELECT count(*)::int AS n FROM '${file}'`), [{ n: 0 }])
})

test('JSON lines have every column, money with all of its places, and system prompts in their place', async (t) => {
  const pool = await exchangeTables(t, postgres)
  await insertExchanges(pool, NOON, 2, { withBodies: true })
  await pool.query(
    `INSERT INTO system_prompts (digest, text, used_on) VALUES ('\\x01', 'You are brief.', now())`,
  )
  await pool.query(
    `UPDATE exchange_bodies SET system_prompt = '\\x01',
       prompt = '[{"role":"system","content":null},\n {"role":"user","content":"Hi"}]'`,
  )
  const text = await readFile(
    await exportTo(t, pool, { format: 'jsonl', withBodies: true }),
    'utf8',
  )
  const lines = text.trimEnd().split('\n')
  assert.equal(lines.length, 2)
  assert.match(lines[1] ?? '', /"cost_usd":0\.000000013,/)
  const row = JSON.parse(lines[1] ?? '') as Record<string, unknown>
  assert.equal(row['started_at'], '2026-10-05T12:00:00.010Z')
  assert.deepEqual(row['tags'], [])
  assert.equal(row['session'], null)
  assert.deepEqual(row['prompt'], [
    { role: 'system', content: 'You are brief.' },
    { role: 'user', content: 'Hi' },
  ])
  assert.deepEqual(row['parameters'], { temperature: 0.5 })
})

test('CSV is quoted by RFC 4180, and what spreadsheets would run is made a text, unless told otherwise', async (t) => {
  const pool = await exchangeTables(t, postgres)
  await insertExchanges(pool, NOON, 1, { withBodies: true })
  await pool.query(
    `UPDATE exchanges SET end_user = '=HYPERLINK("http://x","y")', session = E'two\nlines', model = '',
       version = NULL, upstream = '+1', error_message = '-2+3'`,
  )
  const read = async (keepFormulas: boolean) => {
    const file = await exportTo(t, pool, { format: 'csv', keepFormulas })
    const [names = '', ...rest] = (await readFile(file, 'utf8')).split('\r\n')
    return { names: names.split(','), line: rest.join('\r\n') }
  }
  const { line } = await read(false)
  assert.ok(line.includes(`,"'=HYPERLINK(""http://x"",""y"")","two\nlines",`))
  assert.ok(line.includes(`,guide,"",,'+1,1,`), line)
  assert.ok(line.includes(`,'-2+3,`))
  assert.ok((await read(true)).line.includes(`,"=HYPERLINK(""http://x"",""y"")",`))
  const ask = await openDuckdb(t)
  if (!ask) return
  const file = await exportTo(t, pool, { format: 'csv', keepFormulas: true })
  const [row] = await ask(`SELECT end_user, session, error_message FROM read_csv('${file}')`)
  assert.deepEqual(row, {
    end_user: '=HYPERLINK("http://x","y")',
    session: 'two\nlines',
    error_message: '-2+3',
  })
})

test('an export that broke off goes on behind its last whole line, and has each row once', async (t) => {
  const pool = await exchangeTables(t, postgres)
  // Over midnight, and several in one millisecond.
  await insertExchanges(pool, new Date('2026-10-05T23:59:58.000Z'), 3_000, { stepMs: 1 })
  await insertExchanges(pool, new Date('2026-10-05T23:59:58.500Z'), 2_500, { stepMs: 1 })
  const whole = await readFile(await exportTo(t, pool, { format: 'csv' }), 'utf8')
  assert.equal(whole.split('\r\n').length, 1 + 5_500 + 1)

  for (const cut of [0.31, 0.5, 0.93]) {
    const got = whole.slice(0, Math.floor(whole.length * cut))
    const kept = got.slice(0, got.lastIndexOf('\r\n') + 2)
    const after = kept.trimEnd().split('\r\n').at(-1)?.split(',')[0] ?? null
    const rest = await readFile(await exportTo(t, pool, { format: 'csv', after }), 'utf8')
    assert.equal(kept + rest, whole)
  }
})

test('pages of a limit say where the next one goes on, and whether there is one', async (t) => {
  const ask = await openDuckdb(t)
  if (!ask) return
  const pool = await exchangeTables(t, postgres)
  await insertExchanges(pool, NOON, 2_500)
  const files = []
  for (let after: string | null = null, hasMore = true; hasMore;) {
    const file = await exportTo(t, pool, { after, limit: 1_200 })
    files.push(`'${file}'`)
    const metadata = await ask(
      `SELECT key::varchar AS key, value::varchar AS value FROM parquet_kv_metadata('${file}')`,
    )
    const told = Object.fromEntries(metadata.map(({ key, value }) => [String(key), String(value)]))
    after = told['headrace.last_id'] ?? null
    hasMore = told['headrace.has_more'] === 'true'
  }
  assert.equal(files.length, 3)
  const [read] = await ask(
    `SELECT count(*)::int AS "rows", count(DISTINCT id)::int AS ids FROM read_parquet([${files.join()}])`,
  )
  assert.deepEqual(read, { rows: 2_500, ids: 2_500 })
})

test('filters and times choose the rows', async (t) => {
  const pool = await exchangeTables(t, postgres)
  await insertExchanges(pool, NOON, 700, { stepMs: 1_000 })
  const count = async (asked: Query) => {
    const filter = readFilter(asked)
    const text = await readFile(await exportTo(t, pool, { format: 'jsonl', filter }), 'utf8')
    return text.split('\n').length - 1
  }
  assert.equal(await count({}), 700)
  assert.equal(await count({ caller_name: 'caller 3' }), 100)
  assert.equal(await count({ outcome: 'failed' }), 64)
  assert.equal(await count({ version: 'guide@1', tag: ['team'] }), 116)
  assert.equal(await count({ prompt_tokens_min: '690', outcome: ['completed', 'null'] }), 9)
  const from = new Date(NOON.getTime() + 10_000).toISOString()
  const to = new Date(NOON.getTime() + 20_000).toISOString()
  assert.equal(await count({ from, to }), 10)
  assert.equal(await count({ from: '2027-01-01T00:00:00Z' }), 0)
})

test('a long export holds a few pages, or a group of rows, and not more', async (t) => {
  const pool = await exchangeTables(t, postgres)
  await insertExchanges(pool, NOON, 60_000, { stepMs: 100 })
  for (const format of ['jsonl', 'parquet'] as const) {
    const before = liveBytes()
    let bytes = 0
    let chunks = 0
    let most = 0
    for await (const chunk of exportExchanges(pool, { ...ALL, format })) {
      bytes += chunk.length
      if (chunks++ % 20 === 0) most = Math.max(most, liveBytes() - before)
    }
    // All of the lines are 50 MB; all of the rows, as objects, are more than a hundred.
    assert.ok(bytes > (format === 'jsonl' ? 50_000_000 : 1_000_000), `${bytes} bytes`)
    assert.ok(most < 30 * 2 ** 20, `${format}: ${most} bytes were held`)
  }
})

test('texts are read by their size, whatever their number is', async (t) => {
  const pool = await exchangeTables(t, postgres)
  await insertExchanges(pool, NOON, 12, { withBodies: true })
  const answer = randomBytes(500_000).toString('hex')
  await pool.query('UPDATE exchange_bodies SET answer = ARRAY[$1]', [answer])
  const pages = []
  const options = { filter: EVERYTHING, after: null, withBodies: true, limit: null }
  for await (const page of readPages(pool, options)) pages.push(page)
  assert.ok(pages.every((page) => page.length <= 3))
  assert.deepEqual(
    pages.flat().map((row) => row['answer']),
    Array.from({ length: 12 }, () => [answer]),
  )
})

/** What is in use; what merely waits to be collected is no growth. */
function liveBytes(): number {
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
