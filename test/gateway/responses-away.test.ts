// Responses while the table that keeps them is away, or does not answer.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { test } from 'node:test'
import type { AddressInfo, Socket } from 'node:net'
import type { TestContext } from 'node:test'

import { createPool } from '../../gateway/db/pool.ts'
import { MODEL } from '../support/gateway.ts'
import { startOn } from '../support/kept-responses.ts'
import { recordLog } from '../support/logger.ts'

const ASKED = { model: MODEL, input: 'Hi' }

/** A pool whose server takes connections and never says a word, or refuses them. */
async function muteDatabase(t: TestContext, isListening: boolean) {
  const sockets: Socket[] = []
  const server = createServer((socket) => void sockets.push(socket.on('error', () => {})))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  if (!isListening) server.close()
  const pool = createPool({ host: '127.0.0.1', port }, recordLog().logger)
  t.after(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await pool.end()
  })
  return { pool, sockets }
}

test('while PostgreSQL is away answers are given and say that they are not kept', async (t) => {
  const { pool } = await muteDatabase(t, false)
  const { client } = await startOn(t, pool)
  const whole = await client.responses.create(ASKED)
  assert.equal(whole.output_text, 'Hello')
  assert.ok('store' in whole && whole.store === false)
  const streamed = await client.responses.stream(ASKED).finalResponse()
  assert.equal(streamed.status, 'completed')

  const away = { status: 503, code: 'response_store_unavailable' }
  await assert.rejects(client.responses.retrieve(whole.id), away)
  await assert.rejects(client.responses.delete(whole.id), away)
  await assert.rejects(client.responses.create({ ...ASKED, previous_response_id: whole.id }), away)
})

test('a PostgreSQL that does not answer holds one answer up for a moment, and is left alone then', async (t) => {
  let nowMs = Date.now()
  const { pool, sockets } = await muteDatabase(t, true)
  const { client } = await startOn(t, pool, { keepTimeoutMs: 50, now: () => nowMs })
  const whole = await client.responses.create(ASKED)
  assert.ok('store' in whole && whole.store === false)
  await client.responses.create(ASKED)
  assert.equal(sockets.length, 1)
  nowMs += 5_000
  await client.responses.create(ASKED)
  assert.equal(sockets.length, 2)
})
