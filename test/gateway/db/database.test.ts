import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import test from 'node:test'
import type { AddressInfo } from 'node:net'

import { openDatabase } from '../../../gateway/db/database.ts'
import { recordLog } from '../../support/logger.ts'
import { usePostgres } from '../../support/postgres.ts'

const postgres = usePostgres()

test('a server that goes away while the tables are brought up to date is waited for', async (t) => {
  const { options } = await postgres.pool(t)
  const { host, port, user, password, database } = options
  let hasBroken = false
  const wire = createServer((client) => {
    const server = connect(`${host}/.s.PGSQL.${port}`)
    for (const socket of [client, server]) socket.on('error', () => socket.destroy())
    client.pipe(server).pipe(client)
    client.on('data', (sent: Buffer) => {
      if (hasBroken || !sent.includes('pg_advisory_xact_lock')) return
      hasBroken = true
      for (const socket of [client, server]) socket.destroy()
    })
  }).listen(0, '127.0.0.1')
  await once(wire, 'listening')
  t.after(() => wire.close())

  const { logger } = recordLog()
  const at = `127.0.0.1:${(wire.address() as AddressInfo).port}`
  const databaseUrl = `postgresql://${user}:${String(password)}@${at}/${database}`
  await using opened = await openDatabase({ databaseUrl, dataDir: '/nowhere', logger })
  const { rows } = await opened.pool.query('SELECT 1 AS one')
  assert.deepEqual(rows, [{ one: 1 }])
  assert(hasBroken)
})
