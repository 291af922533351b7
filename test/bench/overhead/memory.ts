// Whether memory is flat: Headrace alone, request after request, its gateway's memory after each step.

import { usedBy } from './process-tree.ts'
import { median } from '../statistics.ts'
import { requestBody } from './wire.ts'
import type { Progress } from '../progress.ts'
import type { Worker } from '../worker.ts'
import type { Headrace } from './headrace.ts'
import type { LoadAnswer, LoadAsk } from './load.ts'

export interface MemoryFigures {
  /** what is compared: around `from` requests and around `to` */
  from: number
  to: number
  /** of the gateway's own process, after so many requests */
  steps: { requests: number; bytes: number }[]
  fromBytes: number
  toBytes: number
}

export const MEMORY_REQUESTS = 200_000
const CLIENTS = 16
const STEPS = 40
/** Steps around a point whose median counts: garbage waits for its collection, so that one reading is luck. */
const AROUND = 2

export async function measureMemory(
  headrace: Headrace,
  load: Worker<LoadAsk, LoadAnswer>,
  { isQuick, progress, signal }: { isQuick: boolean; progress: Progress; signal: AbortSignal },
): Promise<MemoryFigures> {
  const to = isQuick ? 8_000 : MEMORY_REQUESTS
  const from = to / 4
  const { url, headers, pid } = headrace
  const steps: MemoryFigures['steps'] = []
  for (let step = 1; step <= STEPS + AROUND; step++) {
    signal.throwIfAborted()
    const isStreamed = step % 4 === 0
    const { failures, failure } = await load.ask({
      url,
      headers,
      body: requestBody(isStreamed),
      isStreamed,
      pace: { clients: CLIENTS },
      requests: to / STEPS,
    })
    if (failures > 0) throw new Error(`Requests failed, the first with ${failure}.`)
    await headrace.logged()
    const { memoryBytes } = await usedBy(pid)
    const requests = (step * to) / STEPS
    steps.push({ requests, bytes: memoryBytes })
    if (step % 10 === 0) progress(`memory: ${requests} requests`)
  }
  const around = (point: number) => {
    const reach = (AROUND * to) / STEPS
    const near = steps.filter(({ requests }) => Math.abs(requests - point) <= reach)
    return median(near.map(({ bytes }) => bytes))
  }
  return { from, to, steps, fromBytes: around(from), toBytes: around(to) }
}
