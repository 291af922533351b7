// GET /admin/export, as a client on the other side of a real connection sees it.

import assert from 'node:assert/strict'
import { get } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'node:test'

import { errorOf, rowsOf, startAdmin } from '../../support/admin.ts'
import { insertExchanges } from '../../support/exported.ts'
import { ADMIN_KEY, startGateway } from '../../support/gateway.ts'
import { usePostgres } from '../../support/postgres.ts'

const postgres = usePostgres()
const NOON = new Date('2026-10-05T12:00:00.000Z')

/** fetch() hides trailers. */
async function open(url: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    get(url, { headers: { authorization: `Bearer ${ADMIN_KEY}` }, agent: false }, resolve).on(
      'error',
      reject,
    )
  })
}

async function read(url: string) {
  const response = await open(url)
  let text = ''
  response.setEncoding('utf8')
  for await (const chunk of response) text += chunk
  return { status: response.statusCode, headers: response.headers, text, end: response.trailers }
}

test('an export is a file whose trailers say how far it goes, and the next goes on there', async (t) => {
  const { url, pool } = await startAdmin(t, postgres)
  await insertExchanges(pool, NOON, 2_500)
  const first = await read(`${url}/admin/export?format=csv&limit=1500&version=guide@1`)
  assert.equal(first.status, 200)
  assert.equal(first.headers['content-type'], 'text/csv; charset=utf-8')
  assert.equal(first.headers['content-disposition'], 'attachment; filename="exchanges.csv"')
  const lines = first.text.trimEnd().split('\r\n')
  assert.equal(lines.length, 1 + 833)
  assert.deepEqual(first.end, {
    'x-headrace-rows': '833',
    'x-headrace-last-id': lines.at(-1)?.split(',')[0],
    'x-headrace-has-more': 'false',
  })

  let all = ''
  let after = ''
  let hasMore = true
  while (hasMore) {
    const { text, end } = await read(`${url}/admin/export?format=csv&limit=1000${after}`)
    all += text
    after = `&after=${end['x-headrace-last-id']}`
    hasMore = end['x-headrace-has-more'] === 'true'
  }
  assert.equal(all, (await read(`${url}/admin/export?format=csv`)).text)
})

test('texts go out where they are asked for, and the audit log says who took them', async (t) => {
  const { url, pool, ask } = await startAdmin(t, postgres)
  await insertExchanges(pool, NOON, 2, { withBodies: true })
  assert.ok(!(await read(`${url}/admin/export`)).text.includes('Question of'))
  assert.deepEqual(rowsOf(await ask('GET', '/admin/audit')), [])
  const query = 'bodies=true&to=2026-10-06T00:00:00Z&caller_name=caller%201'
  const { text } = await read(`${url}/admin/export?${query}`)
  assert.equal(text.match(/Question of user-1/g)?.length, 1)
  const [entry] = rowsOf(await ask('GET', '/admin/audit'))
  assert.equal(entry?.['action'], 'exchange.export')
  const after = entry?.['after'] as { filter: Record<string, unknown> }
  assert.deepEqual(after.filter, { caller_name: 'caller 1', to: '2026-10-06T00:00:00Z' })
})

test('what is asked in the wrong way, or by the wrong one, is refused', async (t) => {
  const { ask, makeKey } = await startAdmin(t, postgres)
  const { key } = await makeKey({ name: 'dev', role: 'developer' })
  assert.equal((await ask('GET', '/admin/export', undefined, key)).status, 403)
  for (const [query, param] of [
    ['format=xlsx', 'format'],
    ['from=yesterday', 'from'],
    ['limit=0', 'limit'],
    ['after=7', 'after'],
    ['colour=red', 'colour'],
  ]) {
    const { status, ...error } = errorOf(await ask('GET', `/admin/export?${query}`))
    assert.deepEqual([status, error.param], [400, param], query)
  }
})

test('a database that is away is a status, and no empty file', async (t) => {
  const gateway = await startGateway(t)
  const { status, text } = await read(`${gateway.url}/admin/export?format=parquet`)
  assert.equal(status, 503)
  assert.match(text, /database_unavailable/)
})

test('an export that fails on its way breaks the connection', async (t) => {
  const { url, pool } = await startAdmin(t, postgres)
  await insertExchanges(pool, NOON, 20_000)
  const response = await open(`${url}/admin/export`)
  await assert.rejects(async () => {
    let isFirst = true
    for await (const _chunk of response) {
      if (isFirst) await pool.query('ALTER TABLE exchanges RENAME TO taken_away')
      isFirst = false
    }
  }, /aborted/)
  assert.deepEqual(response.trailers, {})
})

test('who leaves ends the export, and makes room for the next', async (t) => {
  const { url, pool, ask } = await startAdmin(t, postgres)
  await insertExchanges(pool, NOON, 30_000)
  const running = await Promise.all([open(`${url}/admin/export`), open(`${url}/admin/export`)])
  assert.equal(errorOf(await ask('GET', '/admin/export')).code, 'overloaded')
  for (const response of running) response.destroy()
  let status: number | undefined
  for (let tries = 0; status !== 200 && tries < 100; tries++) {
    await sleep(20)
    const response = await open(`${url}/admin/export?limit=1`)
    status = response.statusCode
    response.resume()
  }
  assert.equal(status, 200)
})
