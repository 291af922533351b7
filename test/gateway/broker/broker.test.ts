// The exchange log over a real RabbitMQ: what is confirmed there is in the tables once, whoever dies.

import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'

import { Connection } from 'rabbitmq-client'

import { deadQueueOf } from '../../../gateway/broker/connection.ts'
import { packMessages } from '../../../gateway/broker/message.ts'
import { encodeExchange, HEADING } from '../../../gateway/db/exchanges.ts'
import { ExchangeTables } from '../../../gateway/db/exchange-tables.ts'
import { SystemPrompts } from '../../../gateway/db/system-prompts.ts'
import { openBrokered } from '../../support/broker.ts'
import { exchangeRecord } from '../../support/exchange-record.ts'
import { makeFolder } from '../../support/folder.ts'
import { defer } from '../../support/lasting.ts'
import { startStoppingPostgres, usePostgres } from '../../support/postgres.ts'
import { RABBITMQ_IS_ABSENT, useRabbitmq } from '../../support/rabbitmq.ts'
import { until } from '../../support/until.ts'

const skip = RABBITMQ_IS_ABSENT
const postgres = usePostgres()
const rabbitmq = useRabbitmq(['max_message_size = 1000000'])

async function openRaw(t: TestContext, url: string): Promise<Connection> {
  const connection = new Connection(url)
  connection.on('error', () => {})
  defer(t, () => connection.close())
  await connection.onConnect()
  return connection
}

test('what several gateways publish is written once by two log-writers', { skip }, async (t) => {
  const pool = await postgres.pool(t)
  const { log, open, countRows, startWriter } = await openBrokered(t, pool, await rabbitmq())
  const other = await open({ folder: await makeFolder(t) })
  const writers = [startWriter(), startWriter()]
  for (let i = 0; i < 2_000; i++) (i % 2 ? log : other).append(exchangeRecord())
  await Promise.all([log.flush(), other.flush()])
  await until(async () => (await countRows()) === 2_000)

  await until(() => writers[0]!.written + writers[1]!.written === 2_000)
  const { rows } = await pool.query('SELECT sum(requests)::int AS requests FROM exchange_hours')
  assert.deepEqual(rows, [{ requests: 2_000 }])
  await Promise.all(writers.map((writer) => writer.close(5_000)))
})

test(
  'what a broker confirmed outlives its death, and the rest waits for its return',
  { skip },
  async (t) => {
    const server = await rabbitmq()
    const pool = await postgres.pool(t)
    const { log, queue, countRows, startWriter, messages } = await openBrokered(t, pool, server)
    // A quorum queue that was made a moment ago may be forgotten by its only node when that is killed.
    const raw = await openRaw(t, server.url)
    for (const name of [queue, deadQueueOf(queue)])
      await raw.queueDeclare({ queue: name, durable: true })
    for (let i = 0; i < 500; i++) log.append(exchangeRecord())
    await log.flush()
    const writer = startWriter()
    await until(() => writer.written > 0)
    await server.kill()
    for (let i = 0; i < 10; i++) log.append(exchangeRecord())
    await until(() => messages().includes('the exchange log waits for RabbitMQ'))
    assert.equal(log.pending, 10)

    await server.start()
    await log.flush()
    assert.equal(log.pending, 0)
    await until(async () => (await countRows()) === 510)
    const { rows } = await pool.query('SELECT sum(requests)::int AS requests FROM exchange_hours')
    assert.deepEqual(rows, [{ requests: 510 }])
  },
)

test(
  'what a log-writer committed and could not acknowledge is not written again',
  { skip },
  async (t) => {
    const pool = await postgres.pool(t)
    const { log, countRows, startWriter } = await openBrokered(t, pool, await rabbitmq())
    const tables = new ExchangeTables(pool)
    const committed = Promise.withResolvers<void>()
    const lost = startWriter({
      tables: {
        async write(batch) {
          await tables.write(batch)
          committed.resolve()
          throw new Error('Connection terminated')
        },
      },
      retryMs: 60_000,
    })
    for (let i = 0; i < 20; i++) log.append(exchangeRecord())
    await log.flush()
    await committed.promise
    await lost.close(0)

    const writer = startWriter()
    await until(() => writer.written === 20)
    assert.equal(await countRows(), 20)
    const { rows } = await pool.query('SELECT sum(requests)::int AS requests FROM exchange_hours')
    assert.deepEqual(rows, [{ requests: 20 }])
  },
)

test('exchanges wait while PostgreSQL is away', { skip }, async (t) => {
  const server = await startStoppingPostgres(t)
  const { pool } = server
  const { log, startWriter, messages } = await openBrokered(t, pool, await rabbitmq())
  const writer = startWriter()
  log.append(exchangeRecord())
  await until(() => writer.written === 1)
  await server.stop()
  for (let i = 0; i < 20; i++) log.append(exchangeRecord())
  await log.flush()
  await until(() => !writer.isWriting)
  assert.equal(log.pending, 0)

  await server.startAgain()
  await until(() => writer.isWriting)
  await until(() => writer.written === 21)
  const { rows } = await pool.query('SELECT count(*)::int FROM exchanges')
  assert.deepEqual(rows, [{ count: 21 }])
  assert.deepEqual(
    messages().filter((message) => message.includes('PostgreSQL')),
    ['exchanges wait for PostgreSQL', 'PostgreSQL is back; exchanges are being written'],
  )
  await writer.close(1_000)
})

test('a log-writer that is told to end finishes what it has begun', { skip }, async (t) => {
  const pool = await postgres.pool(t)
  const { log, countRows, startWriter } = await openBrokered(t, pool, await rabbitmq())
  const tables = new ExchangeTables(pool)
  const begun = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  const writer = startWriter({
    tables: {
      async write(batch) {
        begun.resolve()
        await goOn.promise
        await tables.write(batch)
      },
    },
  })
  for (let i = 0; i < 20; i++) log.append(exchangeRecord())
  await log.flush()
  await begun.promise
  const closed = writer.close(5_000)
  goOn.resolve()
  await closed
  assert.equal(writer.written, 20)
  assert.equal(await countRows(), 20)
})

test(
  'what nobody can write lies in the dead-letter queue, and the rest is written',
  { skip },
  async (t) => {
    const server = await rabbitmq()
    const pool = await postgres.pool(t)
    const opened = await openBrokered(t, pool, server)
    const { log, queue, publisher, countRows, startWriter, lines } = opened
    const raw = await openRaw(t, server.url)
    log.append(exchangeRecord())
    await log.flush()
    await raw.queueDeclare({ queue, passive: true })
    const channel = await raw.acquire()
    await channel.confirmSelect()
    await channel.basicPublish(queue, 'not ours')
    await channel.close()
    // PostgreSQL refuses a status that is no number; the gateway never makes one.
    const good = Array.from({ length: 6 }, () => Buffer.from(encode()))
    const bad = Buffer.from(encode().replace('\t200\t', '\tmany\t'))
    const heading = JSON.stringify(HEADING)
    const payloads = [...good.slice(0, 3), bad, ...good.slice(3)]
    await publisher.publish(packMessages({ heading, payloads, isSuspect: false }))

    const writer = startWriter()
    await until(() => writer.refused === 2)
    await until(async () => (await countRows()) === 7)
    const dead = deadQueueOf(queue)
    const reasons: unknown[] = []
    for (let i = 0; i < 2; i++) {
      const message = await raw.basicGet({ queue: dead })
      reasons.push(message?.headers?.['reason'])
    }
    assert.match(String(reasons[0]), /content type is 'text\/plain'/)
    assert.match(String(reasons[1]), /invalid input syntax/)
    assert.equal(lines.filter(({ level }) => level === 'error').length, 2)
    await raw.queueDelete(dead)
  },
)

test('an exchange that is too large for the broker is kept in a file', { skip }, async (t) => {
  const pool = await postgres.pool(t)
  const { log, countRows, startWriter, lines } = await openBrokered(t, pool, await rabbitmq())
  startWriter()
  log.append(exchangeRecord())
  log.append(exchangeRecord({ answer: ['x'.repeat(1_000_001)] }))
  log.append(exchangeRecord())
  await log.flush()
  await until(async () => (await countRows()) === 2)
  assert.equal(log.dropped, 1)
  const told = lines.find(({ message }) => message.startsWith('RabbitMQ refused an exchange'))
  assert.match(JSON.stringify(told?.context), /refused-.*\.txt/)
})

test('a queue that somebody deletes is made again', { skip }, async (t) => {
  const server = await rabbitmq()
  const pool = await postgres.pool(t)
  const { log, queue, countRows, startWriter } = await openBrokered(t, pool, server)
  startWriter()
  log.append(exchangeRecord())
  await until(async () => (await countRows()) === 1)
  const raw = await openRaw(t, server.url)
  await raw.queueDelete(queue)
  await raw.queueDelete(deadQueueOf(queue))
  log.append(exchangeRecord())
  await until(async () => (await countRows()) === 2)
  // A queue of another kind would be refused here.
  const quorum = { 'x-queue-type': 'quorum', 'x-delivery-limit': 1_000 } as const
  await raw.queueDeclare({ queue: deadQueueOf(queue), durable: true, arguments: quorum })
})

test("the broker's password is told to nobody", { skip }, async (t) => {
  const { url } = await rabbitmq()
  const wrong = url.replace('guest:guest', 'guest:p4ssw0rd')
  const pool = await postgres.pool(t)
  const { log, startWriter, lines, messages } = await openBrokered(t, pool, { url: wrong })
  startWriter()
  log.append(exchangeRecord())
  await until(() => messages().includes('the exchange log waits for RabbitMQ'))
  await until(() => messages().includes('waiting for RabbitMQ'))
  const told = lines.map(({ context, message }) => {
    const { err } = context as { err?: Error }
    return [message, JSON.stringify(context), err?.stack, String(err?.cause)].join()
  })
  assert.match(told.join('\n'), /ACCESS_REFUSED|Login was refused/)
  assert.doesNotMatch(told.join('\n'), /p4ssw0rd/)
})

function encode(): string {
  return encodeExchange(exchangeRecord(), new SystemPrompts(Date.now))
}
