// `headrace log-writer` as a process: told what it needs, killed in the middle of a batch, ended by a signal.

import assert from 'node:assert/strict'
import test from 'node:test'

import { Publisher } from '../../../gateway/broker/publisher.ts'
import { brokerSink } from '../../../gateway/broker/sink.ts'
import { EmbeddedPostgres } from '../../../gateway/db/embedded.ts'
import { createPool } from '../../../gateway/db/pool.ts'
import { openExchangeLog } from '../../support/exchange-log.ts'
import { exchangeRecord } from '../../support/exchange-record.ts'
import { makeFolder } from '../../support/folder.ts'
import { defer } from '../../support/lasting.ts'
import { recordLog } from '../../support/logger.ts'
import { runHeadrace, startHeadrace } from '../../support/process.ts'
import { RABBITMQ_IS_ABSENT, useRabbitmq } from '../../support/rabbitmq.ts'
import { until } from '../../support/until.ts'

const skip = RABBITMQ_IS_ABSENT
const rabbitmq = useRabbitmq()

test('a log-writer says what it needs', async (t) => {
  const dataDir = await makeFolder(t)
  const env = { HEADRACE_DATA_DIR: dataDir }
  const without = await runHeadrace(t, ['log-writer'], { env })
  assert.equal(without.code, 2)
  assert.match(without.stderr, /log-writer needs LOG_BROKER_URL and DATABASE_URL/)
  const password = { ...env, LOG_BROKER_URL: 'http://headrace:p4ssw0rd@broker' }
  const wrong = await runHeadrace(t, ['log-writer'], { env: password })
  assert.equal(wrong.code, 2)
  assert.match(wrong.stderr, /LOG_BROKER_URL is \*\*\* .* allowed is amqp:/)
  assert.doesNotMatch(wrong.stderr, /p4ssw0rd/)
  const embedded = { ...env, LOG_BROKER_URL: 'amqp://headrace:p4ssw0rd@broker/logs' }
  const alone = await runHeadrace(t, ['gateway'], { env: embedded })
  assert.match(alone.stderr, /LOG_BROKER_URL is set; DATABASE_URL has to be set then/)
})

test(
  'log-writers that are killed and ended lose nothing and write nothing twice',
  { skip },
  async (t) => {
    const { url } = await rabbitmq()
    const dataDir = await makeFolder(t)
    const { logger } = recordLog()
    const server = await EmbeddedPostgres.start({ dataDir, logger, isDurable: false })
    defer(t, () => server.stop())
    const pool = createPool(server.connection, logger)
    defer(t, () => pool.end())
    const publisher = new Publisher({ url, logger })
    defer(t, () => publisher.close())
    const { log, countRows } = await openExchangeLog(t, pool, { sink: brokerSink(publisher) })

    const { host, user, password, database } = server.connection
    const databaseUrl = new URL('postgresql://socket')
    databaseUrl.username = user!
    databaseUrl.password = String(password ?? '')
    databaseUrl.pathname = `/${database}`
    databaseUrl.searchParams.set('host', host!)
    const env = {
      LOG_BROKER_URL: url,
      DATABASE_URL: databaseUrl.href,
      HEADRACE_DATA_DIR: dataDir,
      HEADRACE_LOG_WRITER_LISTEN: 'http://127.0.0.1:0',
    }
    const start = async () => {
      const writer = startHeadrace(t, ['log-writer'], { env })
      const [, address] = await writer.says(/"url":"(http:[^"]+)"/)
      return { writer, address: address! }
    }
    const killed = await start()
    for (let i = 0; i < 3_000; i++) log.append(exchangeRecord())
    const flushed = log.flush()
    await until(async () => (await countRows()) > 0)
    killed.writer.kill('SIGKILL')
    await flushed

    const { writer, address } = await start()
    await until(async () => (await countRows()) === 3_000)
    const { rows } = await pool.query('SELECT sum(requests)::int AS requests FROM exchange_hours')
    assert.deepEqual(rows, [{ requests: 3_000 }])
    assert.equal((await fetch(`${address}/healthz`)).status, 200)
    const ready = await fetch(`${address}/readyz`)
    assert.deepEqual(
      [ready.status, await ready.json()],
      [200, { status: 'ready', broker: 'connected', database: 'writing' }],
    )
    const metrics = await (await fetch(`${address}/metrics`)).text()
    assert.match(metrics, /headrace_log_writer_exchanges_total \d+/)
    assert.match(metrics, /headrace_log_writer_broker_up 1/)

    const key = 'broker-tests-admin-key'
    const gateway = startHeadrace(t, ['gateway'], {
      env: {
        ...env,
        HEADRACE_DATA_DIR: await makeFolder(t),
        HEADRACE_PORT: '0',
        HEADRACE_ADMIN_KEY: key,
        HEADRACE_DEFAULT_MODEL: 'none',
      },
    })
    const [, gatewayUrl] = await gateway.says(/the gateway listens at (http:[^"]+)"/)
    const answer = await fetch(`${gatewayUrl}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'nobody', messages: [{ role: 'user', content: 'Hi' }] }),
    })
    assert.equal(answer.status, 404)
    await until(async () => (await countRows()) === 3_001)
    writer.kill('SIGTERM')
    assert.equal(await writer.ended, 0)
    assert.match(writer.stderr, /the log-writer has stopped/)
    assert.doesNotMatch(killed.writer.stderr + writer.stderr + gateway.stderr, /guest:guest/)
  },
)
