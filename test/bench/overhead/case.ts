// What is asked of every contestant, and what one turn of it measured.

import type { LoadAsk } from './load.ts'

export interface LoadCase {
  name: string
  pace: LoadAsk['pace']
  isStreamed: boolean
}

export const OPEN_RATE = 1_000
const CLIENTS = [1, 16, 64]

export const CLOSED: readonly LoadCase[] = [false, true].flatMap((isStreamed) =>
  CLIENTS.map((clients) => ({
    name: `${isStreamed ? 'stream' : 'JSON'}, ${clients} ${clients === 1 ? 'client' : 'clients'}`,
    pace: { clients },
    isStreamed,
  })),
)

export const OPEN: LoadCase = {
  name: `JSON, ${OPEN_RATE} a second`,
  pace: { perSecond: OPEN_RATE },
  isStreamed: false,
}

export interface Turn {
  requests: number
  failures: number
  failure: string | null
  perSecond: number
  p50Ms: number
  p99Ms: number
  /** of 1,000 requests; null where the contestant has no process */
  cpuMs: number | null
  postgresCpuMs: number | null
  memoryBytes: number | null
  postgresMemoryBytes: number | null
}
