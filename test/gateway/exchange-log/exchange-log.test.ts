import assert from 'node:assert/strict'
import { randomUUIDv7 } from 'node:crypto'
import { readdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { setImmediate } from 'node:timers/promises'
import type { TestContext } from 'node:test'

import { postgresSink } from '../../../gateway/exchange-log/exchange-log.ts'
import { exchangeRecord } from '../../support/exchange-record.ts'
import { openExchangeLog } from '../../support/exchange-log.ts'
import { makeFolder } from '../../support/folder.ts'
import { startStoppingPostgres, usePostgres } from '../../support/postgres.ts'
import type { ExchangeLogOptions } from '../../../gateway/exchange-log/exchange-log.ts'
import type { Sink } from '../../../gateway/exchange-log/writer.ts'

const postgres = usePostgres()

async function openLog(t: TestContext, options: Partial<ExchangeLogOptions> = {}) {
  const pool = await postgres.pool(t)
  return { pool, ...(await openExchangeLog(t, pool, options)) }
}

/** A database that can't be reached. */
const away: Sink = {
  name: 'PostgreSQL',
  write: () => Promise.reject(new Error('connection refused')),
  isRefusal: () => false,
}

const CALLER = '0190a3f2-7c4e-7000-8000-000000000001'
const FIRST = '0190a3f2-7c4e-7000-8000-000000000002'

test('rows hold every field of their record', async (t) => {
  const { pool, log } = await openLog(t)
  const record = exchangeRecord({
    callerId: CALLER,
    projectId: CALLER,
    endUser: 'user\t1',
    session: 'session\\1',
    conversationId: FIRST,
    previousId: FIRST,
    tags: ['a "quoted" one', 'back\\slash', 'com,ma', 'NULL', ''],
    metadata: { team: 'search\n' },
    attempts: [
      { version: 'guide@2', upstream: 'away', ms: 3, error: 'upstream_error', detail: 'a\tb' },
      { version: 'guide@2', upstream: 'local', ms: 14, error: null, detail: null },
    ],
    prompt: [{ role: 'user', content: 'line\nline "quoted" \\n é 😀' }],
    answer: ['one\r\n', 'two'],
    toolCalls: [[{ id: 'call_1', name: 'look', arguments: '{"at":"\\n"}' }]],
    costUsd: 0.000_000_025,
    interTokenMs: 0.5,
    outcome: 'failed',
    errorCode: 'engine_lost',
    errorMessage: 'The engine ended.',
    isStored: true,
    isDeclined: true,
  })
  log.append(record)
  await log.flush()
  const { rows } = await pool.query<Record<string, unknown>>(
    `SELECT *, cost_usd::float8 AS cost_usd, encode(digest, 'hex') AS digest,
            encode(previous_digest, 'hex') AS previous_digest
     FROM exchanges JOIN exchange_bodies USING (id)`,
  )
  assert.equal(rows.length, 1)
  assert.match(String(rows[0]!['digest']), /^[0-9a-f]{32}$/)
  for (const [name, value] of Object.entries(record)) {
    const column = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
    if (name !== 'closedAt') assert.deepEqual(rows[0]![column], value, column)
  }
  assert.equal(rows[0]!['attempt_count'], 2)
})

test('rows are written by themselves a moment later, many at once', async (t) => {
  const pool = await postgres.pool(t)
  const tables = postgresSink(pool)
  const batches: number[] = []
  const sink: Sink = {
    ...tables,
    write: (batch) => {
      batches.push(batch.payloads.length)
      return tables.write(batch)
    },
  }
  const { log, countRows } = await openExchangeLog(t, pool, { sink, lingerMs: 20 })
  for (let i = 0; i < 100; i++) log.append(exchangeRecord())
  while (log.pending > 0) await new Promise((resolve) => setTimeout(resolve, 5))
  assert.equal(await countRows(), 100)
  assert.deepEqual(batches, [100])
})

test('characters that PostgreSQL can not hold are replaced, and nothing else is', async (t) => {
  const { pool, log } = await openLog(t)
  const parameters = { 'ke\0y': 'half \ud83d', path: 'C:\\u0000', emoji: '😀', quote: '\\"' }
  log.append(exchangeRecord({ prompt: 'a\0b', answer: ['\udc00x\0'], parameters, endUser: '\0' }))
  await log.flush()
  const { rows } = await pool.query<Record<string, unknown>>(
    'SELECT prompt, answer, parameters, end_user FROM exchanges JOIN exchange_bodies USING (id)',
  )
  assert.deepEqual(rows[0], {
    prompt: 'a\ufffdb',
    answer: ['\ufffdx\ufffd'],
    parameters: { 'ke\ufffdy': 'half \ufffd', path: 'C:\\u0000', emoji: '😀', quote: '\\"' },
    end_user: '\ufffd',
  })
})

test('a row that PostgreSQL refuses is kept in a file, and the others are written', async (t) => {
  const { folder, log, messages, countRows } = await openLog(t)
  for (let i = 0; i < 40; i++) {
    log.append(exchangeRecord(i % 13 === 5 ? { promptTokens: 3_000_000_000 } : {}))
  }
  await log.flush()
  assert.equal(await countRows(), 37)
  assert.equal(log.dropped, 3)
  assert.equal(log.pending, 0)
  assert.equal(messages().filter((message) => /refused an exchange/.test(message)).length, 3)
  const files = (await readdir(folder)).filter((name) => name.startsWith('refused-'))
  assert.equal(files.length, 3)
  assert.match(await readFile(join(folder, files[0]!), 'utf8'), /3000000000/)
})

test('a row that is written twice is there once, and counts once', async (t) => {
  const { pool, log, countRows } = await openLog(t)
  const record = exchangeRecord()
  log.append(record)
  await log.flush()
  log.append(record)
  log.append(exchangeRecord())
  await log.flush()
  log.append(exchangeRecord({ id: FIRST }))
  log.append(exchangeRecord({ id: FIRST }))
  await log.flush()
  assert.equal(await countRows(), 3)
  assert.equal(log.dropped, 0)
  const { rows } = await pool.query('SELECT requests::int, prompt_tokens::int FROM exchange_hours')
  assert.deepEqual(rows, [{ requests: 3, prompt_tokens: 21 }])
})

test('a prompt that is nested too deep to be written costs its texts, not its row', async (t) => {
  const { pool, log } = await openLog(t)
  let nested: unknown = 'x'
  for (let depth = 0; depth < 200_000; depth++) nested = [nested]
  log.append(exchangeRecord({ prompt: nested }))
  await log.flush()
  const { rows } = await pool.query(
    'SELECT prompt, completion_tokens FROM exchanges JOIN exchange_bodies USING (id)',
  )
  assert.deepEqual(rows, [{ prompt: null, completion_tokens: 5 }])
})

test('a system prompt that many requests begin with is kept once', async (t) => {
  const { pool, log } = await openLog(t)
  const system = 'You are a guide.\n'.repeat(20)
  const ask = (content: string) => [
    { role: 'system', content: system },
    { role: 'user', content },
  ]
  for (let i = 0; i < 5; i++) log.append(exchangeRecord({ prompt: ask(`question ${i}`) }))
  log.append(exchangeRecord({ parameters: { system } }))
  await log.flush()
  const { rows: texts } = await pool.query('SELECT text FROM system_prompts')
  assert.deepEqual(texts, [{ text: system }])
  const { rows } = await pool.query(
    `SELECT prompt->0->>'role' AS role, prompt->0->>'content' AS content, parameters->>'system' AS system, text
     FROM exchange_bodies JOIN system_prompts ON digest = system_prompt
     ORDER BY prompt->0->>'role'`,
  )
  assert.equal(rows.length, 6)
  assert.deepEqual(rows[0], { role: 'system', content: null, system: null, text: system })
  assert.deepEqual(rows[5], { role: 'user', content: 'Hi', system: null, text: system })
})

test('exchanges without texts have a row, and no texts', async (t) => {
  const { pool, log, countRows } = await openLog(t)
  log.append(exchangeRecord({ prompt: null, answer: null, parameters: null }))
  await log.flush()
  assert.equal(await countRows(), 1)
  assert.deepEqual((await pool.query('SELECT id FROM exchange_bodies')).rows, [])
})

test('rows of any day find their partition', async (t) => {
  const { pool, log, countRows } = await openLog(t)
  const idAt = (at: string) => {
    const hex = Date.parse(at).toString(16).padStart(12, '0')
    return `${hex.slice(0, 8)}-${hex.slice(8)}${randomUUIDv7().slice(13)}`
  }
  for (const at of [
    '2026-03-01T23:59:59.999Z',
    '2026-03-02T00:00:00.000Z',
    '2031-01-01T12:00:00Z',
  ]) {
    log.append(exchangeRecord({ id: idAt(at), startedAt: new Date(at) }))
  }
  await log.flush()
  assert.equal(await countRows(), 3)
  const { rows } = await pool.query(
    'SELECT tableoid::regclass::text AS name FROM exchanges ORDER BY id',
  )
  assert.deepEqual(
    rows.map((row) => (row as { name: string }).name),
    ['exchanges_20260301', 'exchanges_20260302', 'exchanges_20310101'],
  )
})

test('hours are the sums of their rows', async (t) => {
  const { pool, log } = await openLog(t)
  const at = (time: string) => ({ startedAt: new Date(`2026-03-01T${time}Z`) })
  log.append(exchangeRecord({ ...at('10:00:00'), costUsd: 0.1, totalMs: 0.5 }))
  log.append(exchangeRecord({ ...at('10:59:59'), costUsd: 0.2, totalMs: 1000, cachedTokens: null }))
  log.append(exchangeRecord({ ...at('10:30:00'), outcome: 'failed', costUsd: null }))
  log.append(exchangeRecord({ ...at('11:00:00'), callerId: CALLER, model: 'a\tb\\' }))
  await log.flush()
  const { rows } = await pool.query(
    `SELECT to_char(hour AT TIME ZONE 'UTC', 'HH24') AS hour, caller_id, model, requests::int, failed::int,
       prompt_tokens::int, cached_tokens::int, cost_usd::text, total_ms_counts::int[]
     FROM exchange_hours ORDER BY 1`,
  )
  const counts = Array.from<number>({ length: 21 }).fill(0)
  assert.deepEqual(rows, [
    {
      hour: '10',
      caller_id: '',
      model: 'guide',
      requests: 3,
      failed: 1,
      prompt_tokens: 21,
      cached_tokens: 4,
      cost_usd: '0.300000000',
      total_ms_counts: counts.with(0, 1).with(20, 1),
    },
    {
      hour: '11',
      caller_id: CALLER,
      model: 'a\tb\\',
      requests: 1,
      failed: 0,
      prompt_tokens: 7,
      cached_tokens: 2,
      cost_usd: '0.000000000',
      // Two to the power of 10.5 are 1448 ms.
      total_ms_counts: [...counts, 0, 1],
    },
  ])
})

test('the disk is bounded: where there is no room new exchanges are dropped, counted and told once', async (t) => {
  const { folder, log, lines } = await openLog(t, { sink: away, maxBytes: 20_000 })
  for (let i = 0; i < 100; i++) log.append(exchangeRecord({ prompt: 'x'.repeat(900) }))
  await setImmediate()
  assert.equal(log.pending + log.dropped, 100)
  assert.ok(log.dropped > 50)
  assert.ok(log.pendingBytes <= 20_000 && log.pendingBytes > 18_000)
  assert.ok((await readFile(join(folder, (await readdir(folder))[0]!))).length <= 20_000)
  assert.equal(lines.filter(({ message }) => /no room/.test(message)).length, 1)
})

test('there is no room for a new request while there still is for those that were taken', async (t) => {
  const { log } = await openLog(t, { sink: away, maxBytes: 100_000 })
  assert.equal(log.hasRoom, true)
  while (log.hasRoom) log.append(exchangeRecord({ prompt: 'x'.repeat(500) }))
  for (let underWay = 0; underWay < 3; underWay++) log.append(exchangeRecord())
  await setImmediate()
  assert.equal(log.dropped, 0)
})

test('what closes in one turn is written together, and each is told when it is kept', async (t) => {
  const { log, folder } = await openLog(t, { sink: away, maxBytes: 10_000 })
  const sizes = new Set<number>()
  let told = 0
  const kept = () => {
    told++
    sizes.add(log.pendingBytes)
  }
  for (let i = 0; i < 5; i++) log.append(exchangeRecord(), kept)
  assert.equal(told, 0)
  await setImmediate()
  assert.equal(told, 5)
  const bytes = await readFile(join(folder, (await readdir(folder))[0]!))
  assert.deepEqual([...sizes], [bytes.length])
  // Who finds no room is not left waiting.
  log.append(exchangeRecord({ prompt: 'x'.repeat(20_000) }), kept)
  log.append(exchangeRecord(), () => {
    throw new Error('a mistake of whoever waits')
  })
  log.append(exchangeRecord(), kept)
  await setImmediate()
  assert.equal(told, 7)
})

test('what waits at the end is written at the next start', async (t) => {
  const { log, open, lines, countRows } = await openLog(t, { segmentBytes: 4_000 })
  await log.close(0)
  const before = await open({ sink: away })
  for (let i = 0; i < 50; i++) before.append(exchangeRecord({ prompt: 'x'.repeat(500) }))
  await before.close(20)
  assert.deepEqual(lines.at(-1)?.context, { pending: 50 })
  const after = await open()
  after.append(exchangeRecord())
  await after.flush()
  assert.equal(await countRows(), 51)
  assert.equal(after.pendingBytes < 2_000, true)
})

test('a process that died may have written part of a record, or rows that it never heard of', async (t) => {
  const { folder, log, open, countRows, messages } = await openLog(t)
  await log.close(0)
  const dying = await open({ sink: away })
  const records = Array.from({ length: 10 }, () => exchangeRecord())
  for (const record of records) dying.append(record)
  await dying.close(10)
  const [name] = await readdir(folder)
  const path = join(folder, name!)
  const bytes = await readFile(path)
  // Three of them are in the tables, and the last one is not all in the file.
  const twin = await open({ folder: await makeFolder(t) })
  for (const record of records.slice(0, 3)) twin.append(record)
  await twin.flush()
  await truncate(path, bytes.length - 20)
  const after = await open()
  await after.flush()
  assert.equal(await countRows(), 9)
  assert.ok(messages().some((message) => /was not all written/.test(message)))
  assert.deepEqual(
    (await readdir(folder)).filter((found) => found === name),
    [],
  )
})

test('a damaged file gives what came before the damage, and is set aside', async (t) => {
  const { folder, log, open, countRows, messages } = await openLog(t)
  await log.close(0)
  const before = await open({ sink: away })
  for (let i = 0; i < 10; i++) before.append(exchangeRecord({ prompt: 'x'.repeat(500) }))
  await before.close(10)
  const [name] = await readdir(folder)
  const bytes = await readFile(join(folder, name!))
  bytes.fill(0x2a, bytes.length >> 1, (bytes.length >> 1) + 16)
  await writeFile(join(folder, name!), bytes)
  await writeFile(join(folder, '000000000000.log'), 'no segment at all')
  const after = await open()
  after.append(exchangeRecord())
  await after.flush()
  const rows = await countRows()
  assert.ok(rows >= 4 && rows <= 7, `${rows} rows`)
  assert.equal(after.damaged, 2)
  const setAside = (await readdir(folder)).filter((found) => found.endsWith('.damaged'))
  assert.deepEqual(setAside.sort(), ['000000000000.log.damaged', `${name}.damaged`])
  assert.equal(messages().filter((message) => /is damaged/.test(message)).length, 2)
})

test('rows wait while PostgreSQL is away and are written when it is back', async (t) => {
  const server = await startStoppingPostgres(t)
  const { pool } = server
  const { log, messages } = await openExchangeLog(t, pool, { lingerMs: 1 })
  log.append(exchangeRecord())
  await log.flush()

  await server.stop()
  for (let i = 0; i < 20; i++) log.append(exchangeRecord())
  while (!messages().some((message) => /waits for PostgreSQL/.test(message))) {
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  assert.equal(log.pending, 20)

  await server.startAgain()
  await log.flush()
  const { rows } = await pool.query('SELECT id FROM exchanges')
  assert.equal(rows.length, 21)
  assert.equal(log.dropped, 0)
  assert.ok(messages().some((message) => /is back/.test(message)))
  await log.close(1_000)
})
