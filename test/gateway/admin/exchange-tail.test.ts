// The exchange log, watched: rows as they come into the tables.

import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'

import { lowestIdAt } from '../../../gateway/db/partitions.ts'
import { errorOf } from '../../support/admin.ts'
import { startReading } from '../../support/exchange-reading.ts'
import { ADMIN_KEY } from '../../support/gateway.ts'
import { defer } from '../../support/lasting.ts'
import { usePostgres } from '../../support/postgres.ts'

const postgres = usePostgres()

/** @returns the next exchange, or null where the stream has ended */
async function watch(t: TestContext, url: string, query = '', key = ADMIN_KEY) {
  const stop = new AbortController()
  defer(t, async () => stop.abort())
  const response = await fetch(`${url}/admin/exchanges/tail${query}`, {
    headers: { authorization: `Bearer ${key}` },
    signal: stop.signal,
  })
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8')
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  return async (): Promise<Record<string, unknown> | null> => {
    for (;;) {
      const end = text.indexOf('\n\n')
      const event = text.slice(0, Math.max(0, end))
      if (end >= 0) text = text.slice(end + 2)
      if (event.startsWith('id: ')) {
        return JSON.parse(event.slice(event.indexOf('data: ') + 6)) as Record<string, unknown>
      }
      if (end >= 0) continue
      const { done, value } = await reader.read()
      if (done) return null
      text += value
    }
  }
}

test('exchanges are told as they are written, late ones too, and only those that are asked for', async (t) => {
  const { url, write } = await startReading(t, postgres)
  await write({ model: 'before' })
  const next = await watch(t, url, '?outcome=failed')
  const [first] = await write({ outcome: 'failed', prompt: 'Hi' }, { outcome: 'completed' })
  const told = await next()
  assert.equal(told?.['id'], first)
  assert.equal(told?.['prompt'], undefined)
  // It waited in a spool while newer ones were written.
  const [late] = await write({ id: lowestIdAt(Date.now() - 7_200_000), outcome: 'failed' })
  assert.equal((await next())?.['id'], late)
})

test('a batch that is committed behind a later one is told as well', async (t) => {
  const { url, write, pool } = await startReading(t, postgres)
  const [one, two] = await write({ model: 'a' }, { model: 'b' })
  const next = await watch(t, url)
  const slow = await pool.connect()
  await slow.query('BEGIN')
  await slow.query('INSERT INTO exchange_arrivals (ids) VALUES ($1)', [[one]])
  await pool.query('INSERT INTO exchange_arrivals (ids) VALUES ($1)', [[two]])
  assert.equal((await next())?.['id'], two)
  await slow.query('COMMIT')
  slow.release()
  assert.equal((await next())?.['id'], one)
})

test('developers watch their project alone', async (t) => {
  const { url, ask, write, makeKey } = await startReading(t, postgres)
  const projectId = String((await ask('POST', '/admin/projects', { name: 'zoo' })).body['id'])
  const { key } = await makeKey({ name: 'dev', role: 'developer', project: 'zoo' })
  const next = await watch(t, url, '', key)
  const [, own] = await write({}, { projectId })
  assert.equal((await next())?.['id'], own)
})

test('it ends when the server shuts down', async (t) => {
  const { url, readiness } = await startReading(t, postgres)
  const next = await watch(t, url)
  readiness.drain()
  assert.equal(await next(), null)
})

test('more than twenty at once are too many', async (t) => {
  const { url, ask } = await startReading(t, postgres)
  for (let i = 0; i < 20; i++) await watch(t, url)
  const { status, code } = errorOf(await ask('GET', '/admin/exchanges/tail'))
  assert.equal(status, 429)
  assert.equal(code, 'too_many_tails')
  assert.equal(errorOf(await ask('GET', '/admin/exchanges/tail?what=1')).status, 400)
})
