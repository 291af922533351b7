// The thread of an export: makes its connections, and gives a piece each time that it is asked.

import { parentPort, workerData } from 'node:worker_threads'

import { exportClosedDays } from './closed-days.ts'
import { openDestination } from './destination.ts'
import { exportExchanges } from './export-stream.ts'
import { createPool } from '../db/pool.ts'
import type { Pool } from '../db/pool.ts'
import type { Job, Reply, ThreadData } from './thread.ts'

async function* run(pool: Pool, job: Job): AsyncGenerator<unknown, unknown> {
  if (job.kind === 'stream') return yield* exportExchanges(pool, job.request)
  const { exportUrl, env, withBodies, nowMs } = job.options
  const destination = await openDestination(exportUrl, env)
  try {
    return yield* exportClosedDays({ pool, destination, withBodies, nowMs })
  } finally {
    await destination.close()
  }
}

async function replyOf(upcoming: Promise<IteratorResult<unknown, unknown>>): Promise<Reply> {
  try {
    return { result: await upcoming }
  } catch (error) {
    const { message, name, code } = error as NodeJS.ErrnoException
    return { error: { message, name, code } }
  }
}

const { connection, job } = workerData as ThreadData
const ignore = () => {}
// A connection that breaks is told by the statement that needs it.
const pool = createPool(connection, { debug: ignore, info: ignore, warn: ignore, error: ignore })
const pieces = run(pool, job)
let upcoming = replyOf(pieces.next())

parentPort?.on('message', () => {
  const current = upcoming
  upcoming = current.then((reply) =>
    'error' in reply || reply.result.done ? reply : replyOf(pieces.next()),
  )
  void current.then((reply) => {
    const piece = 'result' in reply && !reply.result.done ? reply.result.value : null
    // Moved, not copied, where nothing else lies in the same memory.
    const isWhole = piece instanceof Uint8Array && piece.length === piece.buffer.byteLength
    parentPort?.postMessage(reply, isWhole ? [piece.buffer as ArrayBuffer] : [])
  })
})
