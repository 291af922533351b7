// A process that closes exchanges at a fixed rate into an exchange log with an embedded, durable PostgreSQL, as a gateway
// would, and measures what closing costs and what arrives.

import { randomUUIDv7 } from 'node:crypto'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'

import { EmbeddedPostgres } from '../../../gateway/db/embedded.ts'
import { migrate } from '../../../gateway/db/migrate.ts'
import { createPool } from '../../../gateway/db/pool.ts'
import { ExchangeLog, postgresSink } from '../../../gateway/exchange-log/exchange-log.ts'
import { usedBy } from '../overhead/process-tree.ts'
import { quantile } from '../statistics.ts'
import { answerParent } from '../worker.ts'
import { exchangeRecord } from '../../support/exchange-record.ts'
import { randomFrom, textOf } from './texts.ts'
import type { ExchangeRecord } from '../../../gateway/exchange/exchange-record.ts'

export interface WritingAsk {
  dataDir: string
  perSecond: number
  seconds: number
  promptCharacters: number
  answerCharacters: number
}

export interface WritingAnswer {
  closed: number
  /** seconds in which they were closed */
  seconds: number
  rows: number
  bodies: number
  dropped: number
  /** until all was in the tables, behind the last one's closing */
  behindSeconds: number
  /** most that waited */
  mostPending: number
  closeP50Micros: number
  closeP99Micros: number
  closeP999Micros: number
  loopDelayP99Ms: number
  /** CPU of 1,000 exchanges */
  ownCpuMs: number
  postgresCpuMs: number
  /** of this process, before and at its largest */
  memoryBytes: number
  mostMemoryBytes: number
  /** of the tables and their indexes, for each exchange */
  bytesPerExchange: number
  characters: number
}

/** about as many are closed in one turn as by a gateway at this rate */
const TICK_MS = 1
const TEXTS = 2_000
/** lets code be compiled as it will run */
const WARM_UP = 20_000
const CALLERS = 200
const quiet = {
  debug() {},
  info() {},
  warn() {},
  error: (...args: unknown[]) => console.error(...args),
}

answerParent(async (ask: WritingAsk): Promise<WritingAnswer> => {
  const { dataDir, perSecond, seconds } = ask
  await using postgres = await openPostgres(dataDir)
  const { pool } = postgres
  await migrate(pool)
  const log = await ExchangeLog.open({
    folder: join(dataDir, 'spool'),
    maxBytes: 8e9,
    sink: postgresSink(pool),
    logger: quiet,
  })
  const records = recordsOf(ask)
  for (let i = 0; i < WARM_UP; i += 10) {
    await closeTogether(log, records, 10)
    if (i % 1_000 === 0) await log.flush()
  }
  await log.flush()

  const before = await usedBy(process.pid)
  const memoryBytes = process.memoryUsage().rss
  const loopDelay = monitorEventLoopDelay({ resolution: 1 })
  loopDelay.enable()
  const took: number[] = []
  let [mostPending, mostMemoryBytes] = [0, memoryBytes]
  const startMs = performance.now()
  const total = perSecond * seconds
  while (took.length < total) {
    const due = Math.min(total, ((performance.now() - startMs) / 1000) * perSecond)
    took.push(...(await closeTogether(log, records, Math.ceil(due) - took.length)))
    mostPending = Math.max(mostPending, log.pending)
    mostMemoryBytes = Math.max(mostMemoryBytes, process.memoryUsage.rss())
    await sleep(TICK_MS)
  }
  const closedMs = performance.now()
  await log.flush()
  const behindSeconds = (performance.now() - closedMs) / 1000
  const after = await usedBy(process.pid)
  const { rows } = await pool.query<{ rows: number; bodies: number; bytes: number }>(
    `SELECT (SELECT count(*) FROM exchanges)::int AS rows, (SELECT count(*) FROM exchange_bodies)::int AS bodies,
       (SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits)::float8 AS bytes`,
  )
  const found = rows[0]!
  await log.close(5_000)
  took.sort((one, other) => one - other)
  const thousands = took.length / 1_000
  return {
    closed: took.length,
    seconds: (closedMs - startMs) / 1000,
    rows: found.rows - WARM_UP,
    bodies: found.bodies - WARM_UP,
    dropped: log.dropped,
    behindSeconds,
    mostPending,
    closeP50Micros: quantile(took, 0.5),
    closeP99Micros: quantile(took, 0.99),
    closeP999Micros: quantile(took, 0.999),
    loopDelayP99Ms: loopDelay.percentile(99) / 1e6,
    ownCpuMs: (after.cpuMs - before.cpuMs) / thousands,
    postgresCpuMs: (after.postgresCpuMs - before.postgresCpuMs) / thousands,
    memoryBytes,
    mostMemoryBytes,
    bytesPerExchange: found.bytes / found.rows,
    characters: ask.promptCharacters + ask.answerCharacters,
  }
})

/**
 * Closes exchanges in one turn of the event loop.
 * @returns microseconds that each of them cost, with its share of the write that keeps them all
 */
async function closeTogether(
  log: ExchangeLog,
  records: () => ExchangeRecord,
  count: number,
): Promise<number[]> {
  const took: number[] = []
  // Called in the order in which they were asked for: the log's own comes between these two.
  const began = setImmediate(0).then(() => performance.now())
  for (let i = 0; i < count; i++) {
    const record = records()
    const beganMs = performance.now()
    log.append(record)
    took.push((performance.now() - beganMs) * 1000)
  }
  const ended = setImmediate(0).then(() => performance.now())
  const share = (((await ended) - (await began)) * 1000) / count
  return took.map((micros) => micros + share)
}

async function openPostgres(dataDir: string) {
  await using started = new AsyncDisposableStack()
  const server = await EmbeddedPostgres.start({ dataDir, logger: quiet })
  started.defer(() => server.stop())
  const pool = createPool(server.connection, quiet)
  started.defer(() => pool.end())
  const parts = started.move()
  return { pool, [Symbol.asyncDispose]: () => parts.disposeAsync() }
}

/** Exchanges of many callers, whose prompts and answers are made before anything is measured. */
function recordsOf({ promptCharacters, answerCharacters }: WritingAsk): () => ExchangeRecord {
  const random = randomFrom(7)
  const prompts = Array.from({ length: TEXTS }, () => textOf(promptCharacters, random))
  const answers = Array.from({ length: TEXTS }, () => textOf(answerCharacters, random))
  const callers = Array.from({ length: CALLERS }, () => randomUUIDv7())
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)]!
  return () => {
    const startedAt = new Date()
    const caller = Math.floor(random() * CALLERS)
    return exchangeRecord({
      id: randomUUIDv7(),
      startedAt,
      callerId: callers[caller]!,
      callerName: `caller ${caller}`,
      endUser: random() < 0.5 ? `user-${Math.floor(random() * 100_000)}` : null,
      model: 'guide',
      version: `guide@${1 + Math.floor(random() * 5)}`,
      prompt: [
        { role: 'system', content: 'You are a guide.' },
        { role: 'user', content: pick(prompts) },
      ],
      answer: [pick(answers)],
      costUsd: random() * 0.01,
      promptTokens: 500,
      completionTokens: 450,
      timeToFirstTokenMs: 20 + random() * 200,
      totalMs: 200 + random() * 4_000,
    })
  }
}
