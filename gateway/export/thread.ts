// Exports in a thread of their own: rows become columns, and columns bytes, where no request waits for it.
//
// The thread makes connections of its own. It is asked for one piece after the other and is one piece ahead, so that
// whoever reads slowly is waited for.

import { Worker } from 'node:worker_threads'

import type { Connection } from '../db/pool.ts'
import type { ExportRequest } from './export-stream.ts'
import type { ExportEnd } from './format.ts'
import type { Manifest } from './manifest.ts'

export interface ClosedDaysJob {
  exportUrl: string
  /** of the variables that a bucket needs */
  env: Record<string, string | undefined>
  withBodies: boolean
  nowMs: number
}

export type Job =
  { kind: 'stream'; request: ExportRequest } | { kind: 'closed-days'; options: ClosedDaysJob }

export interface ThreadData {
  connection: Connection
  job: Job
}

/** What the thread says each time that it is asked. */
export type Reply =
  | { result: IteratorResult<unknown, unknown> }
  | { error: { message: string; name: string; code?: unknown } }

/** Several times what a group of rows with texts takes; beyond it the export ends, and not the gateway. */
const MAX_HEAP_MB = 1024
const MAIN = new URL('thread-main.ts', import.meta.url)

/** As exportExchanges(). @param signal ends it at once */
export function exportInThread(
  connection: Connection,
  request: ExportRequest,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, ExportEnd> {
  return runInThread({ connection, job: { kind: 'stream', request } }, signal)
}

/** As exportClosedDays(), to where the URL leads. @param signal ends it at once */
export function exportClosedDaysInThread(
  connection: Connection,
  options: ClosedDaysJob,
  signal: AbortSignal,
): AsyncGenerator<Manifest, boolean> {
  return runInThread({ connection, job: { kind: 'closed-days', options } }, signal)
}

async function* runInThread<Piece, End>(
  workerData: ThreadData,
  signal: AbortSignal,
): AsyncGenerator<Piece, End> {
  signal.throwIfAborted()
  const worker = new Worker(MAIN, {
    workerData,
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
  })
  // Whoever waits for its next piece is told that it ended.
  const onAbort = () => void worker.terminate()
  signal.addEventListener('abort', onAbort)
  try {
    for (;;) {
      const reply = await ask(worker)
      if ('error' in reply) throw Object.assign(new Error(reply.error.message), reply.error)
      // Both sides are made from one list of jobs.
      const result = reply.result as IteratorResult<Piece, End>
      if (result.done) return result.value
      yield result.value
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
    await worker.terminate()
  }
}

async function ask(worker: Worker): Promise<Reply> {
  const { promise, resolve, reject } = Promise.withResolvers<Reply>()
  const onExit = (code: number) => reject(new Error(`The export's thread ended (${code}).`))
  worker.once('message', resolve)
  worker.once('error', reject)
  worker.once('exit', onExit)
  worker.postMessage('next', [])
  try {
    return await promise
  } finally {
    worker.off('message', resolve)
    worker.off('error', reject)
    worker.off('exit', onExit)
  }
}
