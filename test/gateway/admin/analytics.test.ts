// Analytics over the admin API: sums of hours, and what stands out, of exchanges that the log has written.

import assert from 'node:assert/strict'
import { randomUUIDv7 } from 'node:crypto'
import test from 'node:test'
import type { TestContext } from 'node:test'

import { errorOf, rowsOf, startAdmin } from '../../support/admin.ts'
import { exchangeAt } from '../../support/exchange-record.ts'
import { openExchangeLog } from '../../support/exchange-log.ts'
import { usePostgres } from '../../support/postgres.ts'
import type { ExchangeRecord } from '../../../gateway/exchange/exchange-record.ts'

const postgres = usePostgres()

const MARCH = 'from=2026-03-01T00:00:00Z&to=2026-04-01T00:00:00Z'

async function start(t: TestContext) {
  const admin = await startAdmin(t, postgres)
  const { log } = await openExchangeLog(t, admin.pool)
  const write = async (...records: ExchangeRecord[]) => {
    for (const record of records) log.append(record)
    await log.flush()
  }
  const get = (path: string, key?: string) =>
    admin.ask('GET', `/admin/analytics${path}`, undefined, key)
  const makeProject = async (name: string) =>
    String((await admin.ask('POST', '/admin/projects', { name })).body['id'])
  return { ...admin, write, get, makeProject }
}

test('usage is the sum of its exchanges, by period and by whatever is asked for', async (t) => {
  const { get, write, makeKey, makeProject } = await start(t)
  const projectId = await makeProject('search')
  const bot = await makeKey({ name: 'bot', project: 'search' })
  const key = { callerId: bot.id, projectId, callerName: 'bot' }
  const token = { callerId: randomUUIDv7(), callerName: 'ann@example.com' }
  await write(
    exchangeAt('2026-03-01T10:00:00Z', { ...key, costUsd: 0.25, tags: ['a', 'b'] }),
    exchangeAt('2026-03-01T10:30:00Z', { ...key, outcome: 'failed', status: 502, tags: ['a'] }),
    exchangeAt('2026-03-01T11:00:00Z', {
      ...token,
      costUsd: 0.5,
      model: 'other',
      version: 'other@1',
    }),
    exchangeAt('2026-03-02T11:00:00Z', {
      ...token,
      outcome: 'refused',
      model: null,
      version: null,
    }),
    exchangeAt('2026-04-01T00:00:00Z', { ...token }),
  )

  const [whole] = rowsOf(await get(`?${MARCH}`))
  assert.deepEqual(
    [
      whole!['requests'],
      whole!['completed'],
      whole!['failed'],
      whole!['refused'],
      whole!['error_rate'],
    ],
    [4, 2, 1, 1, 0.25],
  )
  assert.deepEqual(
    [whole!['prompt_tokens'], whole!['cached_tokens'], whole!['cost_usd']],
    [28, 8, 0.75],
  )

  const days = rowsOf(await get(`?${MARCH}&period=day`))
  assert.deepEqual(
    days.map(({ start, requests }) => [start, requests]),
    [
      ['2026-03-01T00:00:00.000Z', 3],
      ['2026-03-02T00:00:00.000Z', 1],
    ],
  )
  const callers = rowsOf(await get(`?${MARCH}&group=caller&sort=cost`))
  assert.deepEqual(
    callers.map(({ caller, cost_usd }) => [caller, cost_usd]),
    [
      [{ id: token.callerId, name: 'ann@example.com' }, 0.5],
      [{ id: bot.id, name: 'bot' }, 0.25],
    ],
  )
  const models = rowsOf(await get(`?${MARCH}&group=model,version,caller&caller=bot`))
  assert.deepEqual(
    models.map(({ model, version, requests }) => [model, version, requests]),
    [['guide', 'guide@2', 2]],
  )
  const projects = rowsOf(await get(`?${MARCH}&group=project`))
  assert.deepEqual(
    new Set(projects.map(({ project }) => project && (project as { name: string }).name)),
    new Set([null, 'search']),
  )
  const tags = rowsOf(await get(`?${MARCH}&group=tag&project=search`))
  assert.deepEqual(
    tags.map(({ tag, requests }) => [tag, requests]),
    [
      ['a', 2],
      ['b', 1],
    ],
  )
  const most = await get(`?${MARCH}&group=model&limit=1`)
  assert.deepEqual([rowsOf(most).length, most.body['has_more']], [1, true])
})

test('percentiles are those of the exchanges, no further off than a bucket is wide', async (t) => {
  const { get, write } = await start(t)
  // Two modes and a tail, over two hours and callers.
  const times = Array.from({ length: 400 }, (_, i) =>
    i % 10 === 9 ? 3_000 + 17 * i : i % 2 === 0 ? 20 + i / 10 : 700 + i,
  )
  await write(
    ...times.map((totalMs, i) =>
      exchangeAt(`2026-03-01T1${i % 2}:00:00Z`, {
        totalMs,
        timeToFirstTokenMs: totalMs / 16,
        callerId: i % 3 === 0 ? randomUUIDv7() : null,
      }),
    ),
  )
  const sorted = times.toSorted((a, b) => a - b)
  for (const query of ['', '&group=model', '&group=version&model=guide']) {
    const [row] = rowsOf(await get(`?${MARCH}${query}`))
    const told = row!['total_ms'] as Record<string, number>
    for (const [name, share] of Object.entries({ p50: 0.5, p90: 0.9, p95: 0.95, p99: 0.99 })) {
      const exact = sorted[Math.ceil(share * sorted.length) - 1]!
      const ratio = told[name]! / exact
      assert.ok(ratio <= Math.SQRT2 && ratio >= Math.SQRT1_2, `${name}: ${told[name]} for ${exact}`)
    }
    const first = row!['time_to_first_token_ms'] as Record<string, number>
    assert.ok(Math.abs(first['p95']! - told['p95']! / 16) < 0.01)
  }
  const [refused] = rowsOf(await get(`?from=2027-03-01T00:00:00Z&to=2027-03-02T00:00:00Z`))
  assert.equal(refused, undefined)
})

test('what stands out is listed: slow, dear, wrong', async (t) => {
  const { get, write } = await start(t)
  const day = '2026-03-01T10:00:00Z'
  const broken = { outcome: 'failed', status: 502, errorCode: 'upstream_error' } as const
  await write(
    exchangeAt(day, { totalMs: 10, costUsd: 3, timeToFirstTokenMs: 9 }),
    exchangeAt(day, { totalMs: 30, costUsd: 1, timeToFirstTokenMs: null }),
    exchangeAt(day, { totalMs: 20, costUsd: 2, timeToFirstTokenMs: 5, model: 'other' }),
    exchangeAt(day, { ...broken, errorMessage: 'first', callerId: randomUUIDv7() }),
    exchangeAt('2026-03-02T10:00:00Z', { ...broken, errorMessage: 'second' }),
    exchangeAt(day, { outcome: 'refused', status: 429, errorCode: 'rate_limit_exceeded' }),
    exchangeAt('2026-04-02T10:00:00Z', { totalMs: 1e6, costUsd: 1e3 }),
  )
  const slowest = rowsOf(await get(`/slowest?${MARCH}&model=guide&limit=4`))
  assert.deepEqual(
    slowest.map(({ total_ms }) => total_ms),
    [1500, 1500, 1500, 30],
  )
  const dear = await get(`/most-expensive?${MARCH}`)
  assert.deepEqual(
    rowsOf(dear).map(({ cost_usd }) => cost_usd),
    [3, 2, 1],
  )
  assert.deepEqual([dear.body['is_part'], dear.body['from']], [false, '2026-03-01T00:00:00.000Z'])
  const first = rowsOf(await get(`/slowest-first-token?${MARCH}&limit=1`))
  assert.equal(first[0]!['time_to_first_token_ms'], 14)
  const errors = rowsOf(await get(`/errors?${MARCH}`))
  assert.deepEqual(
    errors.map(({ error_code, status, count, last_message }) => [
      error_code,
      status,
      count,
      last_message,
    ]),
    [
      ['upstream_error', 502, 2, 'second'],
      ['rate_limit_exceeded', 429, 1, null],
    ],
  )
})

test('prompts are counted by their last message, and that they were read is in the audit log', async (t) => {
  const { get, ask, write } = await start(t)
  const day = '2026-03-01T10:00:00Z'
  const chat = (content: unknown) => [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content },
  ]
  await write(
    exchangeAt(day, { prompt: chat('How far?') }),
    exchangeAt(day, { prompt: chat([{ type: 'text', text: 'How far?' }]) }),
    exchangeAt(day, { prompt: 'How far?' }),
    exchangeAt(day, { prompt: ['a', 'b'] }),
    exchangeAt(day, { prompt: chat(`${'x'.repeat(600)}1`) }),
    exchangeAt(day, { prompt: chat(`${'x'.repeat(600)}2`) }),
    exchangeAt(day, { prompt: null, answer: null, parameters: null }),
  )
  const answer = await get(`/prompts?${MARCH}`)
  assert.deepEqual(
    rowsOf(answer).map(({ prompt, count, share }) => [prompt, count, share]),
    [
      ['How far?', 3, 0.5],
      ['x'.repeat(500), 2, 1 / 3],
      ['b', 1, 1 / 6],
    ],
  )
  const [entry] = rowsOf(await ask('GET', '/admin/audit?action=prompts.read'))
  assert.deepEqual((entry!['after'] as Record<string, string>)['from'], '2026-03-01T00:00:00Z')
})

test('developers see their project and nothing else, callers nothing', async (t) => {
  const { get, write, makeKey, makeProject } = await start(t)
  const projectId = await makeProject('search')
  await makeProject('secret')
  const { key: developer } = await makeKey({ name: 'dev', role: 'developer', project: 'search' })
  const { key: alone } = await makeKey({ name: 'alone', role: 'developer' })
  const { key: caller } = await makeKey({ name: 'caller' })
  await write(
    exchangeAt('2026-03-01T10:00:00Z', { projectId }),
    exchangeAt('2026-03-01T10:00:00Z', { totalMs: 9_999 }),
  )
  for (const path of ['', '/slowest', '/most-expensive', '/errors', '/prompts']) {
    assert.equal((await get(`${path}?${MARCH}`, caller)).status, 403)
    const other = errorOf(await get(`${path}?${MARCH}&project=secret`, developer))
    assert.deepEqual([other.status, other.code], [404, 'project_not_found'])
    assert.deepEqual(rowsOf(await get(`${path}?${MARCH}`, alone)), [])
  }
  assert.equal(rowsOf(await get(`?${MARCH}`, developer))[0]!['requests'], 1)
  assert.equal(rowsOf(await get(`?${MARCH}&project=search`, developer))[0]!['requests'], 1)
  assert.equal(rowsOf(await get(`/slowest?${MARCH}`, developer)).length, 1)
  assert.equal(rowsOf(await get(`/slowest?${MARCH}`)).length, 2)
})

test('what makes no sense is refused by name', async (t) => {
  const { get } = await start(t)
  for (const [query, param, words] of [
    ['?from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z', 'from', /'from' must be before 'to'/],
    ['?from=yesterday', 'from', /must be a time/],
    ['?group=model,colour', 'group', /some of project, caller, .*; got "colour"/],
    ['?group=tag,model', 'group', /'project' alone; got model too/],
    ['?tag=a&caller=b', 'group', /got caller too/],
    ['?limit=1001', 'limit', /from 1 to 1000/],
    ['/slowest?limit=101', 'limit', /from 1 to 100/],
  ] as const) {
    const error = errorOf(await get(query))
    assert.deepEqual([error.status, error.param], [400, param], error.message)
    assert.match(error.message, words)
  }
})
